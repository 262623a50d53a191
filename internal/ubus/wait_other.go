//go:build !linux

package ubus

import "context"

// watchFolder has nobody who would tell: ubus is at home on Linux.
func watchFolder(context.Context, string) Waiter { return nil }
