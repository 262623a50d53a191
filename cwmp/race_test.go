//go:build race

package cwmp

// slower is by how much the race detector stretches budgets of time.
const slower = 10
