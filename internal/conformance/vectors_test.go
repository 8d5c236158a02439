package conformance_test

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/bundle"
	"github.com/hallmark-dev/hallmark/attest/key"
	"github.com/hallmark-dev/hallmark/verify"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// A vector is one file of testdata/verify: a bundle, an artifact, whom to trust,
// and what a verifier must say. The format is described in testdata/README.md.
type vector struct {
	about     string // one sentence
	expect    string // "evidence", or a reason of package verify
	artifact  string // digests, or none
	root      string // "root.json" or "other-root.json" beside it, or none
	keyFrom   string // RFC 3339, or empty
	keyUntil  string
	publicKey []byte // PEM, or nil
	bundle    []byte
}

const vectorDir = "../../testdata/verify"

func (v vector) format() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", v.about)
	for _, f := range [][2]string{{"expect", v.expect}, {"artifact", v.artifact}, {"root", v.root}, {"key-from", v.keyFrom}, {"key-until", v.keyUntil}} {
		if f[1] != "" {
			fmt.Fprintf(&b, "%s: %s\n", f[0], f[1])
		}
	}
	ar := &txtar.Archive{Comment: []byte(b.String())}
	if v.publicKey != nil {
		ar.Files = append(ar.Files, txtar.File{Name: "key.pub", Data: v.publicKey})
	}
	ar.Files = append(ar.Files, txtar.File{Name: "bundle.json", Data: append(slices.Clone(v.bundle), '\n')})
	return txtar.Format(ar)
}

func parseVector(data []byte) (vector, error) {
	ar := txtar.Parse(data)
	var v vector
	fields := map[string]*string{"expect": &v.expect, "artifact": &v.artifact, "root": &v.root, "key-from": &v.keyFrom, "key-until": &v.keyUntil}
	for line := range strings.Lines(string(ar.Comment)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if text, isComment := strings.CutPrefix(line, "# "); isComment {
			v.about = strings.TrimSpace(text)
		} else if f := fields[name]; ok && f != nil {
			*f = value
		} else {
			return v, fmt.Errorf("header line %q", line)
		}
	}
	for _, f := range ar.Files {
		switch f.Name {
		case "key.pub":
			v.publicKey = f.Data
		case "bundle.json":
			v.bundle = bytes.TrimSuffix(f.Data, []byte("\n"))
		default:
			return v, fmt.Errorf("file %q", f.Name)
		}
	}
	return v, nil
}

// run verifies a vector, and returns what a verifier says of it.
func (v vector) run(raw []byte) (evidence.Evidence, string, error) {
	var verifier *verify.Verifier
	if v.root != "none" {
		r, err := v.trust()
		if err != nil {
			return evidence.Evidence{}, "", err
		}
		if verifier, err = verify.New(r, verify.Config{}); err != nil {
			return evidence.Evidence{}, "", err
		}
	}
	digests := attest.DigestSet{}
	for text := range strings.FieldsSeq(v.artifact) {
		if text == "none" {
			continue
		}
		d, err := attest.ParseDigest(text)
		if err != nil {
			return evidence.Evidence{}, "", err
		}
		digests[d.Algorithm()] = d.Hex()
	}
	b, err := bundle.Parse(raw)
	if err != nil {
		return evidence.Evidence{}, string(verify.Malformed), nil
	}
	ev, err := verifier.Verify(b, digests)
	var refused *verify.Error
	if errors.As(err, &refused) {
		return ev, string(refused.Reason), nil
	}
	return ev, "evidence", err
}

func (v vector) trust() (*verify.TrustRoot, error) {
	var keys []verify.Key
	if v.publicKey != nil {
		pub, err := key.ParsePublic(v.publicKey)
		if err != nil {
			return nil, err
		}
		k := verify.Key{Public: pub.Key()}
		for text, at := range map[string]*time.Time{v.keyFrom: &k.From, v.keyUntil: &k.Until} {
			if text != "" {
				if *at, err = time.Parse(time.RFC3339, text); err != nil {
					return nil, err
				}
			}
		}
		keys = []verify.Key{k}
	}
	if v.root == "" {
		return verify.KeyRoot("vector", keys...)
	}
	data, err := os.ReadFile(filepath.Join(vectorDir, v.root))
	if err != nil {
		return nil, err
	}
	r, err := verify.ParseTrustRoot("vector", data)
	if err != nil || keys == nil {
		return r, err
	}
	return r.WithKeys(keys...)
}

func readVectors(t *testing.T) map[string]vector {
	t.Helper()
	names, err := filepath.Glob(vectorDir + "/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no vectors in %s: %v", vectorDir, err)
	}
	out := make(map[string]vector)
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		v, err := parseVector(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[filepath.Base(name)] = v
	}
	return out
}

func TestVectors(t *testing.T) {
	said := make(map[string]bool)
	for name, v := range readVectors(t) {
		said[v.expect] = true
		t.Run(name, func(t *testing.T) {
			ev, got, err := v.run(v.bundle)
			if err != nil {
				t.Fatal(err)
			}
			if got != v.expect {
				t.Fatalf("%s, want %s: %s", got, v.expect, v.about)
			}
			if ev.IsZero() == (got == "evidence") {
				t.Error("evidence and reason contradict each other")
			}
			if got == "evidence" {
				flipBits(t, v, ev)
			}
		})
	}
	for _, r := range reasons(t) {
		if !said[r] {
			t.Errorf("no vector expects %s", r)
		}
	}
}

// reasons are those that package verify declares.
func reasons(t *testing.T) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../verify/reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && fmt.Sprint(v.Type) == "Reason" {
			text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, text)
		}
		return true
	})
	if len(out) < 16 {
		t.Fatalf("only %d reasons found", len(out))
	}
	return out
}

// flipBits changes one bit at each of many places of a good bundle: it is
// refused, or says the same. A second time that is broken proves nothing, and
// takes nothing from the first.
func flipBits(t *testing.T, v vector, good evidence.Evidence) {
	refused := 0
	const places = 64
	for i := range places {
		raw := slices.Clone(v.bundle)
		raw[i*len(raw)/places] ^= 1 << (i % 7)
		ev, got, err := v.run(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got != "evidence" {
			refused++
			continue
		}
		same := ev.Envelope() == good.Envelope() && ev.Message() == good.Message()
		for _, at := range ev.Times() {
			same = same && slices.Contains(good.Times(), at)
		}
		if !same {
			t.Errorf("bit %d at %d changes what is said, and it is accepted", i%7, i*len(raw)/places)
		}
	}
	if refused < places*3/4 {
		t.Errorf("only %d of %d changes are refused", refused, places)
	}
}

var update = flag.Bool("update", false, "write testdata/verify anew")

// TestVectorsAreGenerated makes every vector again from the seed: what lies in
// testdata is what this code makes.
func TestVectorsAreGenerated(t *testing.T) {
	made := generate(t)
	if *update {
		old, _ := filepath.Glob(vectorDir + "/*")
		for _, name := range old {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
		for name, data := range made {
			if err := os.WriteFile(filepath.Join(vectorDir, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	entries, err := os.ReadDir(vectorDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if made[e.Name()] == nil {
			t.Errorf("%s is made by nobody", e.Name())
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(made), cmp.Compare) {
		data, err := os.ReadFile(filepath.Join(vectorDir, name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(data, made[name]) {
			t.Errorf("%s differs from what is made now: run with -update, and look at the difference", name)
		}
	}
}
