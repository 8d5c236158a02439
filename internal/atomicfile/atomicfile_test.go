package atomicfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/hallmark-dev/hallmark/internal/atomicfile"
)

// create writes a new file.
func create(name string, data []byte, perm fs.FileMode) error {
	f, err := atomicfile.Begin(name, perm, false)
	if err != nil {
		return err
	}
	return f.Commit(data)
}

func TestWriteAndCreate(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	read := func(want string, perm fs.FileMode) {
		t.Helper()
		data, err := os.ReadFile(name)
		info, err2 := os.Stat(name)
		if err != nil || err2 != nil || string(data) != want || info.Mode().Perm() != perm {
			t.Errorf("%v, %v, %q, %v", err, err2, data, info.Mode())
		}
	}
	if err := create(name, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	read("one", 0o600)
	if err := create(name, []byte("two"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	read("one", 0o600)
	if err := atomicfile.Write(name, []byte("three"), 0o644); err != nil {
		t.Fatal(err)
	}
	read("three", 0o644)
	if err := atomicfile.Write(filepath.Join(dir, "no", "f"), nil, 0o644); err == nil {
		t.Error("written into a directory that is not there")
	}
	if err := atomicfile.Write(dir, []byte("x"), 0o644); err == nil {
		t.Error("written over a directory")
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
