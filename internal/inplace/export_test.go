package inplace

var (
	ParseELF    = parseELF
	ParseScript = parseScript
)
