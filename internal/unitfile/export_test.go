package unitfile

var DropInNames = dropInNames
