package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Where a file system has no hard links, a file still appears whole, and one that
// is there is still left alone.
func TestReserve(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	for i, want := range []error{nil, fs.ErrExist} {
		f, err := Begin(name, 0o600, false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.temp.WriteString([]string{"one", "two"}[i]); err != nil {
			t.Fatal(err)
		}
		if err := f.reserve(); !errors.Is(err, want) {
			t.Errorf("%d: %v, want %v", i, err, want)
		}
		f.Abort()
	}
	data, err := os.ReadFile(name)
	if err != nil || string(data) != "one" {
		t.Errorf("%q, %v", data, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(name)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
