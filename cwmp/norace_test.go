//go:build !race

package cwmp

const slower = 1
