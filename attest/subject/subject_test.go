package subject_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/subject"
)

const (
	hello256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	hello384 = "59e1748777448c69de6b800d7a33bbfb9ff1b463e44354c3553bcdb9c666fa90125a3c79f90397bdf5f6a13de828684f"
	hello512 = "9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043"
	other256 = "0000000000000000000000000000000000000000000000000000000000000001"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func names(subjects []attest.Subject) string {
	var out []string
	for _, s := range subjects {
		out = append(out, s.Name)
	}
	return strings.Join(out, " ")
}

func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want one with %q", err, text)
	}
}

func TestHashAllAlgorithmsInOnePass(t *testing.T) {
	h := subject.Hasher{Algorithms: []string{"sha512", "sha256", "sha384", "sha256"}}
	set, err := h.Hash(t.Context(), iotest.OneByteReader(strings.NewReader("hello")))
	if err != nil {
		t.Fatal(err)
	}
	if len(set) != 3 || set["sha256"] != hello256 || set["sha384"] != hello384 || set["sha512"] != hello512 {
		t.Errorf("got %v", set)
	}
}

func TestHashRefusesWeakAndUnknownAlgorithms(t *testing.T) {
	for _, alg := range []string{"md5", "sha1", "SHA256", ""} {
		_, err := subject.Hasher{Algorithms: []string{alg}}.Hash(t.Context(), strings.NewReader("hello"))
		wantError(t, err, "want sha256, sha384 or sha512")
	}
}

func TestHashStopsOnErrorAndCancellation(t *testing.T) {
	broken := errors.New("broken disk")
	if _, err := (subject.Hasher{}).Hash(t.Context(), iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var seen []int64
	h := subject.Hasher{Progress: func(name string, n int64) {
		seen = append(seen, n)
		if len(seen) == 2 {
			cancel()
		}
	}}
	_, err := subject.Collect(h.Reader(ctx, "zeros", bytes.NewReader(make([]byte, 1<<20))))
	if !errors.Is(err, context.Canceled) || !slices.Equal(seen, []int64{128 << 10, 256 << 10}) {
		t.Errorf("err %v, progress %v", err, seen)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, dir, map[string]string{"dist/app": "hello", "b": "hello"})
	if err := os.Symlink("dist/app", "link"); err != nil {
		t.Fatal(err)
	}
	got, err := subject.Collect(subject.Hasher{}.Files(t.Context(), "./dist//app", filepath.Join(dir, "b"), "link"))
	if err != nil {
		t.Fatal(err)
	}
	if names(got) != "dist/app b link" {
		t.Errorf("names %s", names(got))
	}
	for _, s := range got {
		if len(s.Digest) != 1 || s.Digest["sha256"] != hello256 {
			t.Errorf("%s: %v", s.Name, s.Digest)
		}
	}
}

func TestFilesRefuses(t *testing.T) {
	dir := t.TempDir()
	for path, text := range map[string]string{
		filepath.Join(dir, "missing"): "no such file",
		dir:                           "a directory",
		os.DevNull:                    "not a regular file",
	} {
		_, err := subject.Collect(subject.Hasher{}.Files(t.Context(), path))
		wantError(t, err, text)
	}
	_, err := subject.Collect(subject.Hasher{}.Files(t.Context()))
	wantError(t, err, "no subjects")
}

func TestFileThatChangesWhileHashed(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"app": strings.Repeat("x", 300<<10)})
	path := filepath.Join(dir, "app")
	h := subject.Hasher{Progress: func(_ string, n int64) {
		if n == 128<<10 {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString("more"); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
	}}
	_, err := subject.Collect(h.Files(t.Context(), path))
	wantError(t, err, "changed while it was hashed")
}

func TestGlob(t *testing.T) {
	fsys := fstest.MapFS{}
	for _, name := range []string{"dist/a.whl", "dist/b.whl", "dist/b.txt", "dist/linux/c.whl", "dist/linux/x/d.whl", "top.whl"} {
		fsys[name] = &fstest.MapFile{Data: []byte("hello")}
	}
	for _, test := range []struct {
		patterns []string
		want     string
		err      string
	}{
		{patterns: []string{"dist/*.whl"}, want: "dist/a.whl dist/b.whl"},
		{patterns: []string{"*.whl"}, want: "top.whl"},
		{patterns: []string{"**/*.whl"}, want: "dist/a.whl dist/b.whl dist/linux/c.whl dist/linux/x/d.whl top.whl"},
		{patterns: []string{"dist/**"}, want: "dist/a.whl dist/b.txt dist/b.whl dist/linux/c.whl dist/linux/x/d.whl"},
		{patterns: []string{"dist/**/x/*"}, want: "dist/linux/x/d.whl"},
		{patterns: []string{"dist/a.whl", "dist/*.whl"}, want: "dist/a.whl dist/b.whl"},
		{patterns: []string{"dist/*.deb"}, err: `no file matches "dist/*.deb"`},
		{patterns: []string{"dist/*.whl", "dist/*.deb"}, err: "no file matches"},
		{patterns: []string{"dist/linux"}, err: "no file matches"},
		{patterns: []string{"nowhere/*"}, err: "not exist"},
		{patterns: []string{"dist/[a"}, err: "malformed segment"},
		{patterns: []string{"../x"}, err: "malformed segment"},
		{patterns: nil, err: "no subjects"},
	} {
		t.Run(strings.Join(test.patterns, ","), func(t *testing.T) {
			got, err := subject.Collect(subject.Hasher{}.Glob(t.Context(), fsys, test.patterns...))
			if test.err != "" {
				wantError(t, err, test.err)
				return
			}
			if err != nil || names(got) != test.want {
				t.Errorf("%v, %q", err, names(got))
			}
		})
	}
}

func TestGlobLinks(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"app": "hello"})
	if err := os.Symlink("app", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	_, err := subject.Collect(subject.Hasher{}.Glob(t.Context(), os.DirFS(dir), "*"))
	wantError(t, err, "a symbolic link")
	got, err := subject.Collect(subject.Hasher{FollowLinks: true}.Glob(t.Context(), os.DirFS(dir), "*"))
	if err != nil || names(got) != "app link" {
		t.Errorf("%v, %q", err, names(got))
	}
	if err := os.Symlink(".", filepath.Join(dir, "self")); err != nil {
		t.Fatal(err)
	}
	_, err = subject.Collect(subject.Hasher{FollowLinks: true}.Glob(t.Context(), os.DirFS(dir), "*"))
	wantError(t, err, "not a regular file")
}

func TestGlobStopsEarly(t *testing.T) {
	fsys := fstest.MapFS{"a": {Data: []byte("1")}, "b": {Data: []byte("2")}}
	n := 0
	for range (subject.Hasher{}).Glob(t.Context(), fsys, "*", "missing") {
		n++
		break
	}
	if n != 1 {
		t.Errorf("%d subjects", n)
	}
}

func TestDigests(t *testing.T) {
	got, err := subject.Collect(subject.Digests("", "sha256:"+hello256, "sha512:"+hello512))
	if err != nil || len(got) != 1 || got[0].Name != "_" || got[0].Digest["sha512"] != hello512 || got[0].Digest["sha256"] != hello256 {
		t.Errorf("%v, %v", err, got)
	}
	for text, digests := range map[string][]string{
		"no digest":          nil,
		"two sha256 digests": {"sha256:" + hello256, "sha256:" + other256},
		"sha1":               {"sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709"},
		"hexadecimal":        {"sha256:" + strings.ToUpper(hello256)},
	} {
		_, err := subject.Collect(subject.Digests("x", digests...))
		wantError(t, err, text)
	}
}

func TestJoinEndsAtTheFirstError(t *testing.T) {
	good, bad := subject.Digests("a", "sha256:"+hello256), subject.Digests("b")
	reached := false
	last := func(yield func(attest.Subject, error) bool) { reached = true }
	var errs int
	for _, err := range subject.Join(good, bad, last) {
		if err != nil {
			errs++
		}
	}
	if errs != 1 || reached {
		t.Errorf("%d errors, reached the end: %v", errs, reached)
	}
}

func TestCollectLimit(t *testing.T) {
	n := func(n int) subject.Seq {
		return func(yield func(attest.Subject, error) bool) {
			for range n {
				if !yield(attest.Subject{}, nil) {
					return
				}
			}
		}
	}
	if got, err := subject.Collect(n(subject.MaxSubjects)); err != nil || len(got) != subject.MaxSubjects {
		t.Errorf("at the limit: %v", err)
	}
	_, err := subject.Collect(n(subject.MaxSubjects + 1))
	wantError(t, err, "more than 65536 subjects")
}

func TestChecksums(t *testing.T) {
	for _, test := range []struct{ name, file, want string }{
		{"sha256sum", hello256 + "  app.tar.gz\n", "app.tar.gz sha256"},
		{"binary", hello256 + " *app.tar.gz\n", "app.tar.gz sha256"},
		{"one space", hello256 + " app\n", "app sha256"},
		{"no final newline", hello256 + "  app", "app sha256"},
		{"crlf", hello256 + "  app\r\n" + hello256 + "  b\r\n", "app sha256, b sha256"},
		{"mark", "\xef\xbb\xbf" + hello256 + "  app\n", "app sha256"},
		{"upper case", strings.ToUpper(hello256) + "  app\n", "app sha256"},
		{"three algorithms", hello256 + "  app\n" + hello384 + "  app\n" + hello512 + "  app\n", "app sha256 sha384 sha512"},
		{"bsd", "SHA256 (a (1).tar) = " + hello256 + "\nSHA512 (a (1).tar) = " + hello512 + "\n", "a (1).tar sha256 sha512"},
		{"openssl", "SHA256(app)= " + hello256 + "\nSHA2-384(app)= " + hello384 + "\n", "app sha256 sha384"},
		{"escaped", `\` + hello256 + `  a\\b` + "\n", `a\b sha256`},
		{"escaped bsd", `\SHA256 (a\\b) = ` + hello256 + "\n", `a\b sha256`},
		{"unescaped", hello256 + `  a\\b` + "\n", `a\\b sha256`},
		{"image", hello256 + "  ghcr.io/acme/app:v1\n", "ghcr.io/acme/app:v1 sha256"},
		{"spaces in a name", hello256 + "   my app \n", " my app  sha256"},
		{"comments and empty lines", "# made today\n\n" + hello256 + "  app\n\r\n", "app sha256"},
		{"repeated", hello256 + "  app\n" + hello256 + " *app\n", "app sha256"},
		{"order kept", hello256 + "  b\n" + hello256 + "  a\n", "b sha256, a sha256"},
	} {
		t.Run(test.name, func(t *testing.T) {
			subjects, err := subject.Collect(subject.Checksums(strings.NewReader(test.file)))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range subjects {
				for alg, value := range s.Digest {
					if want := map[string]string{"sha256": hello256, "sha384": hello384, "sha512": hello512}[alg]; value != want {
						t.Errorf("%s: %s", alg, value)
					}
				}
				got = append(got, s.Name+" "+strings.Join(s.Digest.Names(), " "))
			}
			if strings.Join(got, ", ") != test.want {
				t.Errorf("got %q, want %q", strings.Join(got, ", "), test.want)
			}
			if _, err := attest.New(subjects, attest.Raw{Type: "https://example.com/x", JSON: []byte("{}")}); err != nil {
				t.Errorf("not fit for a statement: %v", err)
			}
		})
	}
}

func TestChecksumsRefuses(t *testing.T) {
	ok := hello256 + "  app\n"
	for _, test := range []struct {
		name, file string
		line       int
		text       string
	}{
		{"empty", "", 0, "no checksums"},
		{"comments only", "# x\n", 0, "no checksums"},
		{"no name", ok + hello256 + "\n", 2, "want HEX, two spaces, and a name"},
		{"empty name", ok + hello256 + "  \n", 2, "name is missing"},
		{"short", ok + hello256[1:] + "  b\n", 2, "63 characters"},
		{"truncated", ok + hello256[:20], 2, "want HEX"},
		{"not hexadecimal", "z" + hello256[1:] + "  b\n", 1, "not hexadecimal"},
		{"md5", "d41d8cd98f00b204e9800998ecf8427e  b\n", 1, "32 characters"},
		{"sha1", "da39a3ee5e6b4b0d3255bfef95601890afd80709  b\n", 1, "40 characters"},
		{"tag of a weak algorithm", "MD5 (b) = d41d8cd98f00b204e9800998ecf8427e\n", 1, `algorithm "MD5"`},
		{"tag of another algorithm", "SHA512/256 (b) = " + hello256 + "\n", 1, "algorithm"},
		{"tag and length differ", "SHA256 (b) = " + hello512 + "\n", 1, "sha256"},
		{"size", "SIZE (b) = 123\n", 1, `algorithm "SIZE"`},
		{"prose", ok + "see https://example.com\n", 2, "want 64, 96 or 128"},
		{"signed file", "-----BEGIN PGP SIGNED MESSAGE-----\n" + ok, 1, "want 64, 96 or 128"},
		{"two digests", ok + other256 + "  app\n", 2, "two sha256 digests"},
		{"newline in a name", `\` + hello256 + `  a\nb` + "\n", 1, "control character"},
		{"bad escape", `\` + hello256 + `  a\tb` + "\n", 1, "without n, r"},
		{"escape at the end", `\` + hello256 + `  a\` + "\n", 1, "without n, r"},
		{"carriage returns alone", hello256 + "  a\r" + hello256 + "  b", 1, "control character"},
		{"control character", hello256 + "  a\x1b[2J\n", 1, "control character"},
		{"invalid utf-8", hello256 + "  a\xff\n", 1, "UTF-8"},
		{"utf-16", "\xff\xfe2\x00c\x00", 0, "UTF-16"},
		{"tab", hello256 + "\tb\n", 1, "want HEX"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := subject.Collect(subject.Checksums(strings.NewReader(test.file)))
			wantError(t, err, test.text)
			var line *subject.ChecksumError
			if !errors.As(err, &line) || line.Line != test.line {
				t.Errorf("error %v, want one of line %d", err, test.line)
			}
		})
	}
}

func TestChecksumsLimits(t *testing.T) {
	line := hello256 + "  " + strings.Repeat("n", subject.MaxChecksumLine-len(hello256)-2) + "\n"
	if _, err := subject.Collect(subject.Checksums(strings.NewReader(line))); err != nil {
		t.Errorf("line at the limit: %v", err)
	}
	_, err := subject.Collect(subject.Checksums(strings.NewReader("n" + line)))
	wantError(t, err, "want at most 8192")

	file := hello256 + "  app\n"
	file += strings.Repeat("#"+strings.Repeat("x", 1022)+"\n", subject.MaxChecksumBytes/1024)
	file = file[:subject.MaxChecksumBytes]
	if _, err := subject.Collect(subject.Checksums(strings.NewReader(file))); err != nil {
		t.Errorf("file at the limit: %v", err)
	}
	_, err = subject.Collect(subject.Checksums(strings.NewReader(file + "x")))
	wantError(t, err, "more than 4194304 bytes")
	_, err = subject.Collect(subject.Checksums(iotest.ErrReader(io.ErrUnexpectedEOF)))
	wantError(t, err, "unexpected EOF")
}

func FuzzChecksums(f *testing.F) {
	f.Add([]byte(hello256 + "  app\n"))
	f.Add([]byte("SHA256 (app) = " + hello256 + "\r\n"))
	f.Add([]byte(`\` + hello512 + ` *a\\b` + "\n# c\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		subjects, err := subject.Collect(subject.Checksums(bytes.NewReader(data)))
		if err != nil {
			return
		}
		seen := make(map[string]bool)
		for _, s := range subjects {
			if seen[s.Name] || len(s.Digest.Strong()) != len(s.Digest) || len(s.Digest) == 0 {
				t.Errorf("subject %+v", s)
			}
			seen[s.Name] = true
		}
		// What is written back reads the same.
		var b strings.Builder
		for _, s := range subjects {
			for _, alg := range s.Digest.Names() {
				fmt.Fprintf(&b, "\\%s  %s\n", s.Digest[alg], strings.ReplaceAll(s.Name, `\`, `\\`))
			}
		}
		again, err := subject.Collect(subject.Checksums(strings.NewReader(b.String())))
		if err != nil && b.Len() < subject.MaxChecksumBytes && !strings.Contains(err.Error(), "at most") {
			t.Errorf("%q does not read back: %v", b.String(), err)
		} else if err == nil && len(again) != len(subjects) {
			t.Errorf("%d subjects, read back as %d", len(subjects), len(again))
		}
	})
}

func Example() {
	dist := fstest.MapFS{"app_linux.tar.gz": {Data: []byte("hello")}}
	subjects, err := subject.Collect(subject.Hasher{}.Glob(context.Background(), dist, "*.tar.gz"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(subjects[0].Name, subjects[0].Digest["sha256"][:12])
	// Output: app_linux.tar.gz 2cf24dba5fb0
}

func ExampleChecksums() {
	file := strings.NewReader(hello256 + "  app.tar.gz\n" + hello256 + " *app.zip\n")
	for s, err := range subject.Checksums(file) {
		fmt.Println(s.Name, err)
	}
	// Output:
	// app.tar.gz <nil>
	// app.zip <nil>
}

// BenchmarkHash compares hashing 64 MiB with crypto/sha256 alone; see the sum
// of both in one run.
func BenchmarkHash(b *testing.B) {
	data := make([]byte, 64<<20)
	b.Run("crypto/sha256", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			sha256.Sum256(data)
		}
	})
	b.Run("Hasher", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := (subject.Hasher{}).Hash(b.Context(), bytes.NewReader(data)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
