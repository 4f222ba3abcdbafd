package kills_test

import (
	"net"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/kills"
	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
)

func TestJudge(t *testing.T) {
	cut, n := kills.Cut(`hello: ready
[DEBUG] hello: closing a connection whose request died with its process: listener=http remote=127.0.0.1:3 read=12
[DEBUG] hello: closing a connection whose request died with its process: listener=http remote=127.0.0.1:5 read=0
`)
	if n != 2 || len(cut) != 2 {
		t.Fatalf("%d connections cut: %v", n, cut)
	}
	k := kills.Kill{Cut: cut, States: kills.States(`127.0.0.1:1 new
127.0.0.1:1 active
127.0.0.1:2 active
127.0.0.1:2 idle
127.0.0.1:3 idle
127.0.0.1:4 new
127.0.0.1:5 new
`)}
	for _, test := range []struct {
		port  int
		class loadtest.Class
		want  kills.Verdict
	}{
		{1, loadtest.KeepAlive, kills.UnderWay},
		{2, loadtest.KeepAlive, kills.Rest},
		{3, loadtest.KeepAlive, kills.Read},
		{4, loadtest.ConnectThenWait, kills.Young},
		{4, loadtest.KeepAlive, kills.Rest},
		{5, loadtest.ConnectThenWait, kills.Read},
		{6, loadtest.KeepAlive, kills.Rest}, // nobody knew it
	} {
		client := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: test.port}
		e := &loadtest.BrokenError{Class: test.class, Conn: &loadtest.ConnState{Local: client}}
		if got := k.Judge(e); got != test.want {
			t.Errorf("%s client at %v: %s, want %s", test.class, client, got, test.want)
		}
	}
}
