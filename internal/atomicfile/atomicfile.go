// Package atomicfile writes whole files or nothing: to a temporary name in the
// same directory first, then under the name that was asked for.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// A File is one that is to appear. Begin has shown that its directory can be
// written, before whatever its content costs.
type File struct {
	name    string
	temp    *os.File
	perm    fs.FileMode
	replace bool
}

// Begin prepares a file. With replace, one that is there already is replaced;
// without, Commit leaves it alone and fails. The caller calls Commit or Abort.
func Begin(name string, perm fs.FileMode, replace bool) (*File, error) {
	temp, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return nil, err
	}
	return &File{name, temp, perm, replace}, nil
}

// Commit writes the content and makes the file appear. It must be called once at
// most. The error is fs.ErrExist when there is a file that may not be replaced.
func (f *File) Commit(data []byte) error {
	defer f.Abort() // gone already after a rename
	_, err := f.temp.Write(data)
	if err := errors.Join(err, f.temp.Chmod(f.perm), f.temp.Sync(), f.temp.Close()); err != nil {
		return err
	}
	if f.replace {
		return os.Rename(f.temp.Name(), f.name)
	}
	err = os.Link(f.temp.Name(), f.name)
	if !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.ENOTSUP) && !errors.Is(err, syscall.EOPNOTSUPP) {
		return err
	}
	// No hard links here: an empty file takes the name, which the rename replaces.
	return f.reserve()
}

func (f *File) reserve() error {
	empty, err := os.OpenFile(f.name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, f.perm)
	if err != nil {
		return err
	}
	if err := errors.Join(empty.Close(), os.Rename(f.temp.Name(), f.name)); err != nil {
		return errors.Join(err, os.Remove(f.name))
	}
	return nil
}

// Abort leaves nothing behind. After Commit it does nothing.
func (f *File) Abort() {
	f.temp.Close()
	os.Remove(f.temp.Name())
}

// Write writes a file, and replaces one that is there already.
func Write(name string, data []byte, perm fs.FileMode) error {
	f, err := Begin(name, perm, true)
	if err != nil {
		return err
	}
	return f.Commit(data)
}
