package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// A verb is something that is done to a service.
type verb struct {
	key   string
	title string // of tables
	about string // of heirloom's picture
	do    func(ctx context.Context, t *turn, round int) error

	atLeast time.Duration // between two rounds
}

func (v verb) String() string { return v.key }

// The verbs that are special.
const (
	crash   = "kill"
	upgrade = "upgrade"
	burst   = "burst"
)

// killPause is longer than a process has to live for heirloom not to take its
// death for a part of a crash loop: in one all connections are closed.
const killPause = 1500 * time.Millisecond

func allVerbs() []verb {
	return []verb{
		{"reload", "systemctl reload", "each next process starts beside the old one, which hands its connections over", reload, 0},
		{"restart", "systemctl restart", "the old process ends first; its connections and new ones wait for the next", restart, 0},
		{crash, "kill -9", "the requests under way are lost; idle connections wait for the next process, and nobody is refused", killMain, killPause},
		{burst, "reload burst", "20 reloads are asked for, 20 ms apart", reloadOften, 0},
		{upgrade, "package upgrade", "dpkg -i of a newer version, which the package reloads", install, 0},
	}
}

func reload(ctx context.Context, t *turn, _ int) error {
	return t.run(ctx, "systemctl", t.reload, t.service())
}

// The reloads of a burst.
const (
	burstReloads = 20
	burstPause   = 20 * time.Millisecond
)

// reloadOften waits for none of the reloads but the last. A reload that is
// asked for during another may be one with it.
func reloadOften(ctx context.Context, t *turn, round int) error {
	for range burstReloads - 1 {
		if err := t.run(ctx, "systemctl", "--no-block", t.reload, t.service()); err != nil {
			return err
		}
		time.Sleep(burstPause)
	}
	return reload(ctx, t, round)
}

func restart(ctx context.Context, t *turn, _ int) error {
	return t.run(ctx, "systemctl", "restart", t.service())
}

func killMain(_ context.Context, t *turn, _ int) error {
	main := t.machine.Property(t.service(), "MainPID")
	for _, p := range t.machine.Processes(t.service()) {
		if strconv.Itoa(p.PID) != main {
			continue
		}
		began, over, err := kill(p.HostPID)
		if err == nil {
			t.ledger.died(death{p.PID, began, over})
		}
		return err
	}
	return fmt.Errorf("process %s is not there", main)
}

// install installs the release that follows the one of the beginning, which is
// number 1.
func install(ctx context.Context, t *turn, round int) error { return t.dpkg(ctx, round+1) }
