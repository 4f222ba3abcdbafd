package main

// Main is the program, for the test binary to be it.
var Main = main
