//go:build !unix

package sockets

import "github.com/heirloom-go/heirloom/internal/handover"

func fileOf(handover.Bound) handover.FileID { return handover.FileID{} }
