package gatehouse_test

// What the conformance page is made of: the tests of the tree, read as source.

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A testFunc is one test function, or a function that makes rows of the zoo.
type testFunc struct {
	dir, name string
	text      string // its source, with its comments
}

func (f testFunc) String() string { return "`" + f.dir + ":" + f.name + "`" }

// A row of the zoo is one field failure shown by one exhibit.
type exhibit struct {
	row  int
	name string
	text string // its source
}

// sources are the tests of the tree.
type sources struct {
	tests    []testFunc
	exhibits []exhibit
	absent   map[int]string    // row → what is not shown, and why
	code     string            // all that is no test, for what the agent says by itself
	events   string            // the lines of it that make events
	helpers  map[string]string // functions of the zoo that make or run exhibits, by name
}

// readSources reads every Go file of the tree that is tracked or could be.
func readSources(t *testing.T) *sources {
	t.Helper()
	s := &sources{absent: map[int]string{}, helpers: map[string]string{}}
	var code strings.Builder
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "dist" || d.Name() == "bin"):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		return s.file(path, &code)
	})
	if err != nil {
		t.Fatal(err)
	}
	s.code = code.String()
	s.exhibitTests()
	slices.SortFunc(s.tests, func(x, y testFunc) int {
		if n := rank(x.dir) - rank(y.dir); n != 0 {
			return n
		}
		return strings.Compare(x.dir+":"+x.name, y.dir+":"+y.name)
	})
	return s
}

// rank puts the tests that show a behaviour as a whole before those of a part.
func rank(dir string) int {
	for i, d := range []string{"agent/app", "lab/zoo", "agent/rpc", "agent/core", "agent/notify", "cwmp", "cwmp/connreq", "nat", "nat/xmpp"} {
		if d == dir {
			return i
		}
	}
	return 100
}

func (s *sources) file(path string, code *strings.Builder) error {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	dir := filepath.ToSlash(filepath.Dir(path))
	if !strings.HasSuffix(path, "_test.go") {
		if strings.HasPrefix(dir, "agent") {
			code.Write(text)
			s.events += posting(dir, string(text))
		}
		return nil
	}
	if path == "conformance_test.go" || path == "conformance_scan_test.go" {
		return nil
	}
	end := 0
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		// What stands between two functions belongs to the second one.
		from, to := end, files.Position(fn.End()).Offset
		end = to
		if line := strings.IndexByte(string(text[to:]), '\n'); line >= 0 {
			to += line // a comment behind the brace
		}
		if fn.Recv == nil && (strings.HasPrefix(fn.Name.Name, "Test") || strings.HasPrefix(fn.Name.Name, "Fuzz")) {
			s.tests = append(s.tests, testFunc{dir, fn.Name.Name, string(text[from:to])})
		} else if regexp.MustCompile(`S[0-9]{3}-[0-9]{2}`).Match(text[from:to]) {
			s.tests = append(s.tests, testFunc{dir, fn.Name.Name, onlyIDs(string(text[from:to]))})
		}
		if dir == "lab/zoo" && fn.Recv == nil {
			s.helpers[fn.Name.Name] = string(text[from:to])
		}
	}
	if dir == "lab/zoo" {
		ast.Inspect(f, func(n ast.Node) bool { return s.zoo(n, files, text) })
	}
	return nil
}

// posting is what makes events: outside of core whatever names one, in core not
// the lists of all that there are.
func posting(dir, code string) string {
	var b strings.Builder
	for line := range strings.Lines(code) {
		makes := strings.Contains(line, "Code:") || strings.Contains(line, "single(") || strings.Contains(line, "add(") || strings.Contains(line, "Event{")
		if makes || dir != "agent/core" && strings.Contains(line, "core.") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// exhibitTests makes each exhibit a test, with the functions that it names.
func (s *sources) exhibitTests() {
	for _, e := range s.exhibits {
		text := e.text
		for _, name := range regexp.MustCompile(`\b[a-z]\w+\b`).FindAllString(e.text, -1) {
			text += s.helpers[name]
		}
		s.tests = append(s.tests, testFunc{"lab/zoo", "TestZoo/" + e.name, text})
	}
}

// onlyIDs keeps of a function that is no test by itself the behaviours that it
// names: tests call it.
func onlyIDs(text string) string {
	return strings.Join(regexp.MustCompile(`S[0-9]{3}-[0-9]{2}`).FindAllString(text, -1), " ")
}

// zoo collects the rows {4, "digest_md5", …} and what is missing on purpose.
func (s *sources) zoo(n ast.Node, files *token.FileSet, text []byte) bool {
	lit, ok := n.(*ast.CompositeLit)
	if !ok || len(lit.Elts) != 3 {
		return true
	}
	num, ok := lit.Elts[0].(*ast.BasicLit)
	if !ok || num.Kind != token.INT {
		return true
	}
	row, err := strconv.Atoi(num.Value)
	if err != nil {
		return true
	}
	name := spelled(lit.Elts[1])
	if why, ok := lit.Elts[2].(*ast.BasicLit); ok && why.Kind == token.STRING {
		s.absent[row] = strings.TrimPrefix(s.absent[row]+"; "+name+": "+spelled(why), "; ")
	} else {
		from, to := files.Position(lit.Pos()).Offset, files.Position(lit.End()).Offset
		s.exhibits = append(s.exhibits, exhibit{row, name, string(text[from:to])})
	}
	return true
}

// spelled is a text, with … for what only the run knows.
func spelled(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(x.Value); err == nil {
			return text
		}
	case *ast.BinaryExpr:
		return spelled(x.X) + spelled(x.Y)
	}
	return "…"
}

// naming returns the tests whose source matches.
func (s *sources) naming(pattern string) []string {
	re := regexp.MustCompile(pattern)
	var out []string
	for _, f := range s.tests {
		if re.MatchString(f.text) {
			out = append(out, f.String())
		}
	}
	return out
}

// has reports whether there is a test of that name.
func (s *sources) has(dir, name string) bool {
	return slices.ContainsFunc(s.tests, func(f testFunc) bool { return f.dir == dir && f.name == name })
}
