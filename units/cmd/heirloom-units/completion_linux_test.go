package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// require skips the test for want of a program, or fails it where nothing may
// be missing.
func require(t *testing.T, program string) {
	t.Helper()
	_, err := exec.LookPath(program)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true" || os.Getenv("HEIRLOOM_REQUIRE_ALL") == "true":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}

// A completer returns what a shell offers for the last word of a line.
type completer func(t *testing.T, script, line string) []string

// TestCompletion asks real shells.
func TestCompletion(t *testing.T) {
	for shell, complete := range map[string]completer{"bash": inBash, "zsh": inZsh, "fish": inFish} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			require(t, shell)
			script := filepath.Join(t.TempDir(), "_heirloom-units")
			if err := write(script, must(t, "completion", shell), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, tt := range []struct {
				line string
				want []string // all there are
			}{
				{"heirloom-units re", []string{"render"}},
				{"heirloom-units explain kill-", []string{"kill-mode", "kill-signal"}},
				{"heirloom-units lint -f", []string{"-fix", "-format"}},
				{"heirloom-units render -re", []string{"-reload"}},
				{"heirloom-units lint -format ", []string{"json", "sarif", "text"}},
				{"heirloom-units lint -strict -format s", []string{"sarif"}},
				{"heirloom-units render -network l", []string{"local"}},
				{"heirloom-units lint -rules fd-store-", []string{"fd-store-preserve", "fd-store-small"}},
				{"heirloom-units completion ", []string{"bash", "fish", "zsh"}},
				{"heirloom-units man ru", []string{"rules"}},
				{"heirloom-units help li", []string{"lint"}},
				{"heirloom-units lint -root dir", []string{"directory"}},
				{"heirloom-units lint -spec hel", []string{"hello.heirloom"}},
				{"heirloom-units lint -fix web", []string{"web.service", "web.socket", "web@.service"}},
				{"heirloom-units lint -fix -user own", []string{"own.service"}},
			} {
				got := complete(t, script, tt.line)
				for i := range got {
					got[i] = strings.TrimSuffix(got[i], "/")
				}
				slices.Sort(got)
				if got = slices.Compact(got); !slices.Equal(got, tt.want) {
					t.Errorf("%q offers %q, want %q", tt.line, got, tt.want)
				}
			}
		})
	}
}

// shellFolder is a folder with something to complete, and a systemctl that
// lists what there is.
func shellFolder(t *testing.T) (dir string, env []string) {
	t.Helper()
	dir = t.TempDir()
	const systemctl = `#!/bin/sh
case $1 in
--user) echo 'own.service enabled enabled' ;;
--system) printf '%s\n' 'web.service enabled enabled' 'web@.service static -' 'web.socket disabled enabled' 'xml.service static -' ;;
esac
`
	for path, text := range map[string]string{"hello.heirloom": "", "directory/file": "", "bin/systemctl": systemctl} {
		if err := write(filepath.Join(dir, path), text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir, append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "HOME="+dir, "TERM=dumb", "LC_ALL=C.UTF-8")
}

func shellOutput(t *testing.T, program string, args ...string) []string {
	t.Helper()
	ctx, cancel := patience.Context(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = shellFolder(t)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return strings.Split(strings.TrimSpace(strings.ReplaceAll(string(out), "\r", "")), "\n")
}

// inBash does as readline.
func inBash(t *testing.T, script, line string) []string {
	const ask = `. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _heirloom_units; printf '%s\n' "${COMPREPLY[@]}"`
	return shellOutput(t, "bash", append([]string{"--norc", "-c", ask, script}, strings.Split(line, " ")...)...)
}

func inFish(t *testing.T, script, line string) []string {
	var offers []string
	for _, offer := range shellOutput(t, "fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", script, line) {
		offer, _, _ = strings.Cut(offer, "\t")
		offers = append(offers, offer)
	}
	return offers
}

// inZsh types the line into a zsh on a terminal, whose completions are printed
// rather than shown.
func inZsh(t *testing.T, script, line string) []string {
	const capture = `
zmodload zsh/zpty
zpty z zsh -f -i
prepare() {
	PROMPT= RPROMPT=
	fpath=($1 $fpath)
	autoload -Uz compinit
	compinit -u -d $1/dump
	bindkey '^I' complete-word
	compadd() {
		if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
			builtin compadd "$@"
			return
		fi
		local -a hits
		builtin compadd -A hits "$@"
		(( $#hits )) && print -rl -- "<<<"$^hits">>>"
		return 0
	}
	finish() { print -r -- "<<<END>>>"; exit }
	comppostfuncs=(finish)
}
zpty -w z "$(functions prepare); prepare ${(q)1}; print READY''NOW"
zpty -r z said '*READYNOW*'
zpty -n -w z "$2"$'\t'
zpty -r z said '*<<<END>>>*'
print -r -- "$said"
`
	var offers []string
	for _, said := range shellOutput(t, "zsh", "-f", "-c", capture, "zsh", filepath.Dir(script), line) {
		for _, part := range strings.Split(said, "<<<")[1:] {
			offer, _, _ := strings.Cut(part, ">>>")
			if offer != "END" {
				offers = append(offers, offer)
			}
		}
	}
	return offers
}
