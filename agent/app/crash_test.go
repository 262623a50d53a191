package app_test

// What of the crash matrix is run: all of it by `make matrix`, and so much of it
// in a check that every kind of step has met every kind of blow, in each chapter
// of the plan as well as anywhere.

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// kind is a step without its count: "flash rename journal".
func (s passed) kind() string {
	k, _, _ := strings.Cut(s.name, " #")
	return strings.ReplaceAll(k, " .", " ") // the temporary file of a state file
}

// call is a step without what it is about: "flash rename".
func (s passed) call() string {
	f := strings.Fields(s.name)
	return f[0] + " " + f[1]
}

// effect is a blow without the step.
func (b blow) effect() string {
	b.at = ""
	return b.String()
}

// cases are the blows of a matrix with the steps they fall on.
type cases struct {
	steps []passed
	blows []blow
	at    []passed
}

func everyCase(steps []passed) (all cases) {
	all.steps = steps
	for _, s := range steps {
		for _, b := range blows(s.name) {
			all.blows, all.at = append(all.blows, b), append(all.at, s)
		}
	}
	return all
}

// sample keeps the cases that meet something which no case before has met.
func (c cases) sample(meets func(passed, blow) []string) cases {
	met := map[string]bool{}
	some := cases{steps: c.steps}
	for i, b := range c.blows {
		news := false
		for _, what := range meets(c.at[i], b) {
			news = news || !met[what]
			met[what] = true
		}
		if news {
			some.blows, some.at = append(some.blows, b), append(some.at, c.at[i])
		}
	}
	return some
}

// inCheck is what a check has time for: each effect on each kind of step, each
// call in each chapter.
func inCheck(s passed, b blow) []string {
	return []string{s.kind() + ": " + b.effect(), fmt.Sprint("chapter ", s.chapter, ": ", s.call())}
}

// underRace is for the race detector, ten times as slow; it looks for something
// else.
func underRace(s passed, b blow) []string {
	return []string{s.call(), b.effect(), fmt.Sprint("chapter ", s.chapter)}
}

// String says what the cases have met.
func (c cases) String() string {
	kinds, calls, effects, chapters := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[int32]bool{}
	all := map[string]bool{}
	for _, s := range c.steps {
		all[s.kind()] = true
	}
	for i, s := range c.at {
		kinds[s.kind()], calls[s.call()], effects[c.blows[i].effect()], chapters[s.chapter] = true, true, true, true
	}
	return fmt.Sprintf("%d cases at %d steps: %d of %d kinds of step, %d calls, %d effects, %d chapters of the plan",
		len(c.blows), len(c.steps), len(kinds), len(all), len(calls), len(effects), len(chapters))
}

// TestCrashMatrix: the agent is killed, loses its power or finds its disk broken
// at each step of the plan. GATEHOUSE_MATRIX=all takes every case.
func TestCrashMatrix(t *testing.T) {
	steps := hurt(t, blow{})
	if t.Failed() {
		t.FailNow()
	}
	c := everyCase(steps)
	t.Logf("all:  %v", c)
	switch os.Getenv("GATEHOUSE_MATRIX") {
	case "all":
	case "":
		meets := inCheck
		if racing {
			meets = underRace
		}
		c = c.sample(meets)
	default:
		t.Fatal("GATEHOUSE_MATRIX is all, or not set")
	}
	t.Logf("here: %v", c)
	const shares = 4 // run side by side
	for k := range shares {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			t.Parallel()
			for i := k; i < len(c.blows); i += shares {
				hurt(t, c.blows[i])
			}
		})
	}
}

// TestSample: what a check takes of the matrix leaves out no kind of step, no
// effect and no chapter.
func TestSample(t *testing.T) {
	var steps []passed
	for chapter := range int32(3) {
		for i, name := range []string{"flash create .a.tmp", "flash write .a.tmp", "flash rename a", "flash rename b", "ram remove a", "wire sends Inform", "wire dials"} {
			steps = append(steps, passed{fmt.Sprintf("%s #%d", name, int(chapter)*10+i), chapter})
		}
	}
	all := everyCase(steps)
	for _, meets := range []func(passed, blow) []string{inCheck, underRace} {
		some := all.sample(meets)
		want, got := map[string]bool{}, map[string]bool{}
		for i, b := range all.blows {
			for _, what := range meets(all.at[i], b) {
				want[what] = true
			}
		}
		for i, b := range some.blows {
			for _, what := range meets(some.at[i], b) {
				got[what] = true
			}
		}
		if len(want) != len(got) || len(some.blows) >= len(all.blows) || !slices.Contains(some.blows, all.blows[0]) {
			t.Errorf("%d of %d met, by %d of %d cases", len(got), len(want), len(some.blows), len(all.blows))
		}
	}
}
