package unitfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrSyntax is matched by the errors of [Split], [ParseSpan], [ParseSize] and
// [ParseBool], which name the text.
var ErrSyntax = errors.New("invalid syntax")

// Split returns the words of a value such as that of Environment=: they are set
// apart by whitespace, quotes of either kind hold together and go away, also
// amid a word, and a backslash begins an escape sequence as in C. It is
// extract_first_word of systemd with EXTRACT_UNQUOTE and EXTRACT_CUNESCAPE.
//
// The error matches [ErrSyntax], for a quote that is not closed or an escape
// sequence that is none. The words before it are returned with it, as most
// settings have used them by then. Some settings are not strict: ExecStart= and
// its kin keep an escape sequence that is none as it stands.
func Split(value string) ([]string, error) {
	var words []string
	for {
		value = strings.TrimLeft(value, whitespace)
		if value == "" {
			return words, nil
		}
		word, rest, err := cutWord(value)
		if err != nil {
			return words, err
		}
		words, value = append(words, word), rest
	}
}

func cutWord(text string) (word, rest string, err error) {
	var w []byte
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			var n int
			if w, n = appendEscaped(w, text[i+1:]); n == 0 {
				return "", "", fmt.Errorf("%q begins with an unknown escape sequence: %w", brief(text[i:]), ErrSyntax)
			}
			i += n
		case c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && strings.IndexByte(whitespace, c) >= 0:
			return string(w), text[i:], nil
		default:
			w = append(w, c)
		}
	}
	if quote != 0 {
		return "", "", fmt.Errorf("a quote in %q is not closed: %w", brief(text), ErrSyntax)
	}
	return string(w), "", nil
}

// appendEscaped appends what the sequence after a backslash stands for, and
// returns its length, which is 0 if it is none (cunescape_one).
func appendEscaped(w []byte, text string) ([]byte, int) {
	if text == "" {
		return w, 0
	}
	const letters, stand = `abfnrtv\"'s`, "\a\b\f\n\r\t\v\\\"' "
	if at := strings.IndexByte(letters, text[0]); at >= 0 {
		return append(w, stand[at]), 1
	}
	switch text[0] {
	case 'x':
		return appendNumbered(w, text, 1, 2, 16)
	case 'u':
		return appendNumbered(w, text, 1, 4, 16)
	case 'U':
		return appendNumbered(w, text, 1, 8, 16)
	}
	return appendNumbered(w, text, 0, 3, 8)
}

// appendNumbered takes a number of so many digits after the letters. One of up
// to three digits is a byte, and any other a character.
func appendNumbered(w []byte, text string, letters, digits, base int) ([]byte, int) {
	length := letters + digits
	// ParseUint takes a sign for no digit, and without the base 0 no underscore
	// either.
	if len(text) < length {
		return w, 0
	}
	n, err := strconv.ParseUint(text[letters:length], base, 32)
	switch {
	case err != nil || n == 0:
		return w, 0
	case digits <= 3 && n > 0xff:
		return w, 0
	case digits <= 3:
		return append(w, byte(n)), length
	case digits == 4 && n&0xf800 == 0xd800:
		// systemd lets half of a pair of UTF-16 pass here.
		return append(w, byte(0xe0|n>>12), byte(0x80|n>>6&0x3f), byte(0x80|n&0x3f)), length
	case digits == 8 && !isCharacter(rune(n)):
		return w, 0
	}
	return utf8.AppendRune(w, rune(n)), length
}
