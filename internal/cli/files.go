package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hallmark-dev/hallmark/internal/atomicfile"
)

// readFile reads a small file, or standard input for "-". What it is called
// stands in errors.
func (a *app) readFile(what, name string, limit int) ([]byte, error) {
	if name == "" {
		return nil, fmt.Errorf("%s: the file name is empty", what)
	}
	r := a.stdin
	if name != "-" {
		// Asked before opening: opening a pipe would wait for its writer.
		if info, err := os.Stat(name); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		} else if info.IsDir() {
			return nil, fmt.Errorf("%s %s: a directory, want a file", what, name)
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		defer f.Close()
		r = f
	}
	data, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", what, name, err)
	}
	if len(data) > limit {
		return nil, fmt.Errorf("%s %s: longer than %d bytes", what, name, limit)
	}
	if len(data) == 0 {
		return nil, fmt.Errorf("%s %s: the file is empty", what, name)
	}
	return data, nil
}

// writeFile writes a result whole or not at all, to stdout for "-". A file that
// is there already stays, unless it may be replaced.
func (a *app) writeFile(name string, data []byte, perm fs.FileMode, overwrite bool) error {
	if name == "-" {
		_, err := a.stdout.Write(data)
		return err
	}
	if overwrite {
		return atomicfile.Write(name, data, perm)
	}
	err := atomicfile.Create(name, data, perm)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: remove it, give another name, or say --overwrite", name)
	}
	return err
}

// beside is the file system of what a file names: its own directory.
func beside(name string) fs.FS {
	if name == "-" {
		return nil
	}
	return os.DirFS(filepath.Dir(name))
}
