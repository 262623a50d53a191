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
}

// sources are the tests of the tree.
type sources struct {
	tests    []testFunc
	exhibits []exhibit
	absent   map[int]string // row → what is not shown, and why
	code     string         // all that is no test, for what the agent says by itself
}

// readSources reads every Go file of the tree that is tracked or could be.
func readSources(t *testing.T) *sources {
	t.Helper()
	s := &sources{absent: map[int]string{}}
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
	}
	if dir == "lab/zoo" {
		ast.Inspect(f, s.zoo)
	}
	return nil
}

// onlyIDs keeps of a function that is no test by itself the behaviours that it
// names: tests call it.
func onlyIDs(text string) string {
	return strings.Join(regexp.MustCompile(`S[0-9]{3}-[0-9]{2}`).FindAllString(text, -1), " ")
}

// zoo collects the rows {4, "digest_md5", …} and what is missing on purpose.
func (s *sources) zoo(n ast.Node) bool {
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
		s.exhibits = append(s.exhibits, exhibit{row, name})
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
