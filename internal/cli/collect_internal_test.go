package cli

import (
	"errors"
	"strings"
	"testing"
)

func TestCollectionLimits(t *testing.T) {
	line := []byte("not a bundle")
	c := &collection{bytes: maxCollected - len(line)}
	if err := c.add(line, "at"); err != nil {
		t.Errorf("at the limit of bytes: %v", err)
	}
	if err := c.add([]byte("x"), "beyond"); !errors.Is(err, errTooMany) {
		t.Errorf("beyond the limit of bytes: %v", err)
	}
	c = &collection{}
	for range maxBundles {
		if err := c.add(line, "at"); err != nil {
			t.Fatalf("at the limit of bundles: %v", err)
		}
	}
	if err := c.add(line, "beyond"); !errors.Is(err, errTooMany) {
		t.Errorf("beyond the limit of bundles: %v", err)
	}
}

func TestSafe(t *testing.T) {
	for in, want := range map[string]string{
		"plain: \"x\"\nsecond line": "plain: \"x\"\nsecond line",
		"a\x1b[2Jb":                 `a\x1b[2Jb`,
		"a\u202eb\nfine":            `a\u202eb` + "\nfine",
		"a\rb":                      `a\rb`,
		"a\xffb":                    `a\xffb`,
	} {
		if got := safe(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if long := strings.Repeat("é", 1000); safe(long) != long {
		t.Error("changed what is plain")
	}
}
