// Package packages tests package units/packaging: what dpkg and rpm, apt and
// systemd do with its packages. It is a module of its own for the sake of nfpm,
// which puts them together.
package packages
