//go:build race

package app_test

// racing: the race detector makes everything some ten times as slow.
const racing = true
