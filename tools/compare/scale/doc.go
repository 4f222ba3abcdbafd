// Package scale measures how a daemon with very many idle connections is
// replaced: for how long they are on their way to the next process, and what
// that costs.
//
// The clock runs from the command, or the kill, until a process of the next
// generation says by its status that it has every connection: nobody asks over
// the connections meanwhile. Whether the processes have them is seen by the
// number of their descriptors, which the kernel tells at next to no cost; the
// status is asked for only then. Afterwards each client asks once, and counts
// as broken if it gets another answer than that of the new generation.
package scale
