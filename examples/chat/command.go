package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

const help = `* /join ROOM    go to another room
* /topic TEXT   set the room's topic; without TEXT, tell it
* /who          tell who is here
* /rooms        tell which rooms there are
* /quit         leave
`

// valid is what a name of a person or a room may be.
var valid = regexp.MustCompile(`^[\pL\pN_-]{1,20}$`)

// obey does what a line says. Its errors end the connection; what is wrong with
// a line the member is told.
func (m *member) obey(line string) error {
	switch {
	case line == "":
		return nil
	case m.Name == "":
		return m.introduce(line)
	case !strings.HasPrefix(line, "/"):
		return m.hub.say(m.Room, m.Name+": "+line)
	}
	command, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch command {
	case "/join":
		return m.join(rest)
	case "/topic":
		return m.topic(rest)
	case "/who":
		names, err := m.hub.who(m.Room)
		return m.answer(err, strings.Join(names, ", "))
	case "/rooms":
		lines, err := m.hub.list()
		return m.answer(err, lines...)
	case "/quit":
		m.tell("* Goodbye.\n")
		return io.EOF
	}
	m.tell(help)
	return nil
}

// introduce is the first line: a name.
func (m *member) introduce(name string) error {
	if !valid.MatchString(name) {
		m.tell("* A name is up to 20 letters and digits.\n")
		return nil
	}
	return m.enter(name, lobby)
}

func (m *member) join(to string) error {
	switch {
	case !valid.MatchString(to):
		m.tell("* A room's name is up to 20 letters and digits.\n")
		return nil
	case to == m.Room:
		return nil
	}
	return m.enter(m.Name, to)
}

// enter goes to a room. The member stays where they are if that is refused.
func (m *member) enter(name, to string) error {
	room, topic, err := m.hub.enter(name, m.Room, to)
	switch {
	case errors.Is(err, errClosed):
		return err
	case err != nil:
		return m.answer(nil, err.Error())
	case topic == "":
		topic = "no topic, try /help"
	}
	m.unfollow()
	m.Name, m.Room, m.Seen = name, to, room.entrance()
	m.tell(fmt.Sprintf("* You are in %s: %s\n", to, topic))
	m.follow(room)
	return nil
}

func (m *member) topic(text string) error {
	if text != "" {
		return m.hub.setTopic(m.Room, m.Name, text)
	}
	topic, err := m.hub.topic(m.Room)
	return m.answer(err, topic)
}

// answer tells the member something, unless there was an error.
func (m *member) answer(err error, lines ...string) error {
	if err != nil {
		return err
	}
	for _, line := range lines {
		m.tell("* " + line + "\n")
	}
	return nil
}
