package packaging

var ShellWord = shellWord
