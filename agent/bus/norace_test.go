//go:build !race

package bus_test

const aMillion = 1_000_000
