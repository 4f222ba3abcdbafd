module github.com/heirloom-go/heirloom/examples/dns

go 1.25.0

replace github.com/heirloom-go/heirloom => ../..

require (
	github.com/hashicorp/go-hclog v1.6.3
	github.com/heirloom-go/heirloom v0.0.0-00010101000000-000000000000
	github.com/miekg/dns v1.1.73
	golang.org/x/net v0.57.0
)

require (
	github.com/coreos/go-systemd/v22 v22.7.0 // indirect
	github.com/fatih/color v1.13.0 // indirect
	github.com/godbus/dbus/v5 v5.2.2 // indirect
	github.com/mattn/go-colorable v0.1.12 // indirect
	github.com/mattn/go-isatty v0.0.14 // indirect
	golang.org/x/crypto v0.54.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
)
