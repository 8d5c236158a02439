package subject

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/hallmark-dev/hallmark/attest"
)

// Glob is one subject for each regular file of fsys that a pattern matches, in
// lexical order for each pattern; the name is the path in fsys. A pattern is
// one of [path.Match], in which a whole segment "**" stands for any number of
// directories. Directories do not match.
//
// A pattern that matches no file is an error, and so is a directory that cannot
// be read: a statement that silently lacks an artifact would be worse.
func (h Hasher) Glob(ctx context.Context, fsys fs.FS, patterns ...string) Seq {
	return func(yield func(attest.Subject, error) bool) {
		seen := make(map[string]bool)
		for _, pattern := range patterns {
			found := false
			err := walk(ctx, fsys, pattern, func(name string, d fs.DirEntry) error {
				found = true
				if seen[name] {
					return nil
				}
				seen[name] = true
				s, err := h.match(ctx, fsys, name, d)
				if err == nil && !yield(s, nil) {
					err = fs.SkipAll
				}
				return err
			})
			if err == nil && !found {
				err = fmt.Errorf("subject: no file matches %q", pattern)
			}
			if err == fs.SkipAll {
				return
			}
			if err != nil {
				yield(attest.Subject{}, err)
				return
			}
		}
	}
}

func (h Hasher) match(ctx context.Context, fsys fs.FS, name string, d fs.DirEntry) (attest.Subject, error) {
	if !d.Type().IsRegular() && (!h.FollowLinks || d.Type()&fs.ModeSymlink == 0) {
		return attest.Subject{}, fmt.Errorf("subject %s: not a regular file (%s)", name, kind(d.Type()))
	}
	// Asked before opening: opening a pipe would wait for its writer.
	if info, err := fs.Stat(fsys, name); err != nil {
		return attest.Subject{}, fmt.Errorf("subject: %w", err)
	} else if !info.Mode().IsRegular() {
		return attest.Subject{}, fmt.Errorf("subject %s: a link to what is not a regular file (%s)", name, kind(info.Mode()))
	}
	f, err := fsys.Open(name)
	if err != nil {
		return attest.Subject{}, fmt.Errorf("subject: %w", err)
	}
	defer f.Close()
	return h.opened(ctx, name, f)
}

// walk calls found for everything but directories that the pattern matches. It
// returns fs.SkipAll if found did.
func walk(ctx context.Context, fsys fs.FS, pattern string, found func(string, fs.DirEntry) error) error {
	segments := strings.Split(path.Clean(pattern), "/")
	for _, s := range segments {
		if _, err := path.Match(s, ""); err != nil || s == ".." {
			return fmt.Errorf("subject: pattern %q: malformed segment %q", pattern, s)
		}
	}
	// Nothing outside the fixed beginning can match.
	fixed := 0
	for fixed < len(segments)-1 && !strings.ContainsAny(segments[fixed], `*?[\`) {
		fixed++
	}
	var stopped error
	err := fs.WalkDir(fsys, path.Join(append([]string{"."}, segments[:fixed]...)...), func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("subject: %w", err)
		}
		parts := strings.Split(name, "/")
		if d.IsDir() {
			if name != "." && !matchPrefix(segments, parts) {
				return fs.SkipDir
			}
			return nil
		}
		if !matchSegments(segments, parts) {
			return nil
		}
		stopped = found(name, d)
		return stopped
	})
	if stopped != nil {
		return stopped
	}
	return err
}

func matchSegments(pattern, name []string) bool {
	for i, p := range pattern {
		if p == "**" {
			for skip := range len(name) + 1 {
				if matchSegments(pattern[i+1:], name[skip:]) {
					return true
				}
			}
			return false
		}
		if len(name) == 0 {
			return false
		}
		if ok, _ := path.Match(p, name[0]); !ok {
			return false
		}
		name = name[1:]
	}
	return len(name) == 0
}

// matchPrefix reports whether something below the directory could match.
func matchPrefix(pattern, dir []string) bool {
	for i, d := range dir {
		if i >= len(pattern) {
			return false
		}
		if pattern[i] == "**" {
			return true
		}
		if ok, _ := path.Match(pattern[i], d); !ok {
			return false
		}
	}
	return true
}
