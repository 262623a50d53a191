//go:build 386 || arm || mips || mipsle

package linux

type timevalField = int32
