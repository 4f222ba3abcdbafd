package lint

import (
	"slices"
	"strings"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// rawWords cuts a value into its words as they are written: blanks within
// quotes or after a backslash do not end one.
func rawWords(value string) []string {
	var words []string
	for rest := strings.TrimLeft(value, " \t"); rest != ""; rest = strings.TrimLeft(rest, " \t") {
		length := wordLength(rest)
		words, rest = append(words, rest[:length]), rest[length:]
	}
	return words
}

// wordLength is how far a word reaches.
func wordLength(text string) int {
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && (c == ' ' || c == '\t'):
			return i
		}
	}
	return len(text)
}

// reads reports whether a word that is written so is read as this one.
func reads(raw, word string) bool {
	words, err := unitfile.Split(raw)
	return err == nil && len(words) == 1 && words[0] == word
}

// quoted writes a word so that it is read as one.
func quoted(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t\\\"';") {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}

// replaceWord returns a value with another word wherever it has this one as a
// whole, or with none if that is "".
func replaceWord(value, word, with string) string {
	var words []string
	for _, raw := range rawWords(value) {
		switch {
		case !reads(raw, word):
			words = append(words, raw)
		case with != "":
			words = append(words, quoted(with))
		}
	}
	return strings.Join(words, " ")
}

// without returns a line without one of its words, or removeIt if there is no
// other.
func without(setting, value, word string) string {
	rest := replaceWord(value, word, "")
	if rest == "" {
		return removeIt
	}
	return setting + "=" + rest
}

// cut returns how the first n words of a command are written, and what is
// before and after them on its line; all are nil where that cannot be told.
func (c command) cut(n int) (before, own, after []string) {
	raw := rawWords(c.from.Value)
	words := slices.Concat([]string{c.prefix + c.words[0]}, c.words[1:n])
	for i := 0; i+n <= len(raw); i++ {
		if (i == 0 || raw[i-1] == ";") && slices.EqualFunc(raw[i:i+n], words, reads) {
			return raw[:i], raw[i : i+n], raw[i+n:]
		}
	}
	return nil, nil, nil
}

// replace returns the command's line with others in place of its first n words,
// or noAdvice where it cannot be told how those are written.
func (c command) replace(n int, words ...string) string {
	before, own, after := c.cut(n)
	if own == nil {
		return noAdvice
	}
	for i, word := range words {
		words[i] = quoted(word)
	}
	return c.from.Name + "=" + strings.Join(slices.Concat(before, words, after), " ")
}

// withoutPrefix returns the command's line without one of the special
// characters before its path.
func (c command) withoutPrefix(special string) string {
	return c.replace(1, strings.ReplaceAll(c.prefix, special, "")+c.words[0])
}
