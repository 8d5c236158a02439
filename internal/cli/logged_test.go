package cli_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hallmark-dev/hallmark/attest/sigstoretest"
	"github.com/hallmark-dev/hallmark/internal/cli"
)

// A log forgets nothing: an output that cannot be written is known before.
func TestNothingIsLoggedThatCannotBeKept(t *testing.T) {
	var writes atomic.Int32
	s := sigstoretest.New(t, sigstoretest.Options{Wrap: func(service string, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(service, "rekor") && r.Method == http.MethodPost {
				writes.Add(1)
			}
			next.ServeHTTP(w, r)
		})
	}})
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	token, err := s.Token(sigstoretest.GitHub{}.Claims())
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"attest", "--keyless", "--identity-token", write("token", []byte(token)), "--signing-config", write("config", s.SigningConfig()),
		"--trusted-root", write("root", s.TrustedRoot()), "--type", "https://example.com/t", "--predicate", write("predicate", []byte(`{"a":1}`)), write("app", []byte("x"))}
	for _, c := range []struct {
		name   string
		more   []string
		code   int
		writes int32
	}{
		{"a directory that is not there", []string{"--out", filepath.Join(dir, "no", "b.json")}, 2, 0},
		{"a directory in place of a file", []string{"--overwrite", "--out", dir}, 2, 0},
		{"an input", []string{"--overwrite", "--out", filepath.Join(dir, "app")}, 2, 0},
		{"fine", []string{"--out", filepath.Join(dir, "b.json")}, 0, 1},
		{"there already", []string{"--out", filepath.Join(dir, "b.json")}, 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			writes.Store(0)
			var stdout, stderr bytes.Buffer
			code := cli.Run(t.Context(), append(append([]string{}, args...), c.more...), func(string) string { return "" }, strings.NewReader(""), &stdout, &stderr)
			if code != c.code || writes.Load() != c.writes {
				t.Errorf("exit status %d, want %d; %d entries, want %d\n%s", code, c.code, writes.Load(), c.writes, stderr.String())
			}
		})
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
