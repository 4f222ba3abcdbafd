package main

import (
	"net"
	"testing"
)

// TestOtherSocket has a dry run get a socket of another type, since its sandbox
// forbids UDP: the process becomes ready all the same.
func TestOtherSocket(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other := struct{ net.PacketConn }{conn}
	got, err := answerFromWhereAsked(other)
	if got != other || err != nil {
		t.Fatalf("got %T, %v", got, err)
	}
	served := make(chan error)
	go func() { served <- new(server).packets(got) }()
	_ = conn.Close()
	<-served
}
