// Package atomicfile writes whole files or nothing: to a temporary name in the
// same directory first, then under the name that was asked for.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces the file, if there is one.
func Write(name string, data []byte, perm fs.FileMode) error {
	return write(name, data, perm, os.Rename)
}

// Create writes a new file. When there is one already it is left alone, and the
// error is fs.ErrExist.
func Create(name string, data []byte, perm fs.FileMode) error {
	return write(name, data, perm, os.Link)
}

func write(name string, data []byte, perm fs.FileMode, place func(from, to string) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already after a rename
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(perm), f.Close()); err != nil {
		return err
	}
	return place(f.Name(), name)
}
