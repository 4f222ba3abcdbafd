// Package docs has tests that what the pages in the folder docs and the
// comments of the packages say is so.
package docs
