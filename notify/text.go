package notify

import (
	"unicode"
	"unicode/utf8"
)

// ellipsis replaces the end of a text that was cut.
const ellipsis = "..."

// status appends the text of a Status, made valid.
//
// A text may come from anywhere: an error, a panic, another process. A READY=1
// in the same message must not depend on it, so no text is an error.
func (m *message) status(text string) {
	m.statusFrom = len(m.text)
	// A message has no room for the rest, which may be long.
	if len(text) > maxMessage {
		text = text[:maxMessage] + ellipsis
	}
	for i, r := range text {
		switch {
		case r == '\t' || r == ' ':
			m.text = append(m.text, byte(r))
		// systemd splits a message at carriage returns as well
		// (strv_split_newlines), so with one of them a text from
		// outside could start its own assignment.
		case unicode.IsSpace(r):
			m.text = append(m.text, ' ')
		case r == utf8.RuneError, !isForEyes(r):
			m.text = utf8.AppendRune(m.text, utf8.RuneError)
		default:
			m.text = append(m.text, text[i:i+utf8.RuneLen(r)]...)
		}
	}
	m.statusTo = len(m.text)
}

// isForEyes reports whether a terminal shows r and does nothing else, since
// systemctl writes the text to a terminal unchanged. Some scripts need the two
// joiners.
func isForEyes(r rune) bool {
	return unicode.IsPrint(r) || r == '\u200c' || r == '\u200d'
}

// fit shortens the text of a Status if the message is too long otherwise, and
// marks its end with the ellipsis.
func (m *message) fit() {
	over := len(m.text) - maxMessage
	if over <= 0 || !m.keys.has(status) {
		return
	}
	to := m.statusTo - over - len(ellipsis)
	if to < m.statusFrom {
		return // the rest is too long by itself
	}
	for to > m.statusFrom && !utf8.RuneStart(m.text[to]) {
		to--
	}
	end := append([]byte(ellipsis), m.text[m.statusTo:]...)
	m.text = append(m.text[:to], end...)
}
