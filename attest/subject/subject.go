// Package subject makes the subjects of statements: from files, globs, readers,
// digests, and the checksum files that release tools write.
//
// Everything here gives an iter.Seq2 of subjects and errors: lazy, so that a
// thousand files are hashed one by one, and easy to chain with [Join]. A
// sequence ends at its first error. [Collect] makes a slice for [attest.New].
//
// Files are streamed: one pass for all algorithms, and never a whole file in
// memory. Names are free text in a statement; here they are slash-separated
// paths as the caller gave them, or as the checksum file has them.
package subject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/hallmark-dev/hallmark/attest"
)

// MaxSubjects limits what [Collect] takes. One statement holds at most
// [attest.MaxSubjects]; more become several statements.
const MaxSubjects = 65536

// A Seq is a sequence of subjects that ends at its first error.
type Seq = iter.Seq2[attest.Subject, error]

// Collect reads a sequence to its end. An empty sequence is an error, as are
// more than [MaxSubjects] subjects.
func Collect(seq Seq) ([]attest.Subject, error) {
	var out []attest.Subject
	for s, err := range seq {
		if err != nil {
			return nil, err
		}
		if len(out) == MaxSubjects {
			return nil, fmt.Errorf("subject: more than %d subjects", MaxSubjects)
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, errors.New("subject: no subjects: a statement must be about something")
	}
	return out, nil
}

// Join chains sequences.
func Join(seqs ...Seq) Seq {
	return func(yield func(attest.Subject, error) bool) {
		for _, seq := range seqs {
			for s, err := range seq {
				if !yield(s, err) || err != nil {
					return
				}
			}
		}
	}
}

// Digests is one subject of the given digests, each "ALG:HEX" as
// [attest.ParseDigest] reads it, all of the same thing. An empty name becomes
// "_", which stands for none.
func Digests(name string, digests ...string) Seq {
	return one(func() (attest.Subject, error) {
		s := attest.Subject{Name: name, Digest: make(attest.DigestSet)}
		if name == "" {
			s.Name = "_"
		}
		if len(digests) == 0 {
			return s, fmt.Errorf("subject %q: no digest", name)
		}
		for _, text := range digests {
			d, err := attest.ParseDigest(text)
			if err != nil {
				return s, fmt.Errorf("subject %q: %w", name, err)
			}
			if old, ok := s.Digest[d.Algorithm()]; ok && old != d.Hex() {
				return s, fmt.Errorf("subject %q: two %s digests, %s and %s", name, d.Algorithm(), old, d.Hex())
			}
			s.Digest[d.Algorithm()] = d.Hex()
		}
		return s, nil
	})
}

// Reader is one subject of everything that r gives, such as standard input.
func (h Hasher) Reader(ctx context.Context, name string, r io.Reader) Seq {
	return one(func() (attest.Subject, error) {
		set, err := h.hash(ctx, name, r)
		if err != nil {
			return attest.Subject{}, fmt.Errorf("subject %s: %w", name, err)
		}
		return attest.Subject{Name: name, Digest: set}, nil
	})
}

// Files is one subject for each path. A path that is relative and stays below
// the working directory is the subject's name; any other gives its last
// element, so that no statement tells where on a machine something was built.
// A symbolic link is followed. What is not a regular file is an error, and so
// is a file that changes while it is hashed.
func (h Hasher) Files(ctx context.Context, paths ...string) Seq {
	return func(yield func(attest.Subject, error) bool) {
		for _, p := range paths {
			s, err := h.file(ctx, p)
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

func (h Hasher) file(ctx context.Context, path string) (attest.Subject, error) {
	name := filepath.Base(path)
	if filepath.IsLocal(path) {
		name = filepath.ToSlash(filepath.Clean(path))
	}
	info, err := os.Stat(path)
	if err != nil {
		return attest.Subject{}, fmt.Errorf("subject: %w", err)
	}
	// Asked before opening: opening a pipe would wait for its writer.
	if !info.Mode().IsRegular() {
		return attest.Subject{}, fmt.Errorf("subject %s: not a regular file (%s)", path, kind(info.Mode()))
	}
	f, err := os.Open(path)
	if err != nil {
		return attest.Subject{}, fmt.Errorf("subject: %w", err)
	}
	defer f.Close()
	return h.opened(ctx, name, f)
}

// opened hashes an open file and notices when it changes meanwhile.
func (h Hasher) opened(ctx context.Context, name string, f fs.File) (attest.Subject, error) {
	before, err := f.Stat()
	if err != nil {
		return attest.Subject{}, fmt.Errorf("subject: %w", err)
	}
	if !before.Mode().IsRegular() {
		return attest.Subject{}, fmt.Errorf("subject %s: not a regular file (%s)", name, kind(before.Mode()))
	}
	counted := &counter{r: f}
	set, err := h.hash(ctx, name, counted)
	if err != nil {
		return attest.Subject{}, fmt.Errorf("subject %s: %w", name, err)
	}
	after, err := f.Stat()
	if err != nil {
		return attest.Subject{}, fmt.Errorf("subject: %w", err)
	}
	if counted.n != after.Size() || before.Size() != after.Size() || !before.ModTime().Equal(after.ModTime()) {
		return attest.Subject{}, fmt.Errorf("subject %s: the file changed while it was hashed", name)
	}
	return attest.Subject{Name: name, Digest: set}, nil
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a directory"
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	}
	return m.Type().String()
}

func one(make func() (attest.Subject, error)) Seq {
	return func(yield func(attest.Subject, error) bool) { yield(make()) }
}
