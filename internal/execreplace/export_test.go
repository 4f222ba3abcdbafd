package execreplace

var (
	ParseELF    = parseELF
	ParseScript = parseScript
)
