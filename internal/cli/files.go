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
	var r io.Reader
	if name == "-" {
		var err error
		if r, err = a.input(what); err != nil {
			return nil, err
		}
	} else {
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

// begin prepares a file for a result, before what the result costs. A file that
// is there already stays, unless it may be replaced; what is no regular file,
// and the inputs, are never replaced.
func begin(name string, perm fs.FileMode, overwrite bool, inputs ...string) (*atomicfile.File, error) {
	old, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case !overwrite:
		return nil, existing(name)
	case !old.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file, and is not replaced", name)
	default:
		for _, in := range inputs {
			if info, err := os.Stat(in); in != "" && in != "-" && err == nil && os.SameFile(old, info) {
				return nil, fmt.Errorf("%s is read here as well, and is not replaced", name)
			}
		}
	}
	return atomicfile.Begin(name, perm, overwrite)
}

func existing(name string) error {
	return fmt.Errorf("%s exists already: remove it, give --out, or say --overwrite", name)
}

// commit makes a file appear whole.
func commit(f *atomicfile.File, name string, data []byte) error {
	err := f.Commit(data)
	if errors.Is(err, fs.ErrExist) {
		return existing(name)
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
