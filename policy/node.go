package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/hallmark-dev/hallmark/internal/strictjson"
)

// A node is one value of a policy file, whichever way it was written. Its
// text keeps no YAML type: the field that reads it decides what it means.
type node struct {
	kind      nodeKind
	text      string // of a scalar
	plain     bool   // a YAML scalar without quotes, or a JSON number, boolean or null
	line, col int
	members   []member // of a map
	items     []*node  // of a list
}

type member struct {
	key   *node
	value *node
}

type nodeKind int

const (
	scalarNode nodeKind = iota
	mapNode
	listNode
)

func (k nodeKind) String() string {
	return [...]string{"a single value", "a map", "a list"}[k]
}

// maxNodes limits the values of one file; a policy of thirty rules has about
// a thousand.
const (
	maxNodes   = 100_000
	maxMembers = 2_000 // of one map
)

// parseNodes reads a whole file. The error carries line and column.
func parseNodes(data []byte) (*node, error) {
	at := func(line, col int, format string, args ...any) error {
		return &Problem{Line: line, Column: col, Message: fmt.Sprintf(format, args...)}
	}
	switch {
	case len(data) > MaxPolicyBytes:
		return nil, at(1, 1, "policy of %d bytes, want at most %d", len(data), MaxPolicyBytes)
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return nil, at(1, 1, "byte order mark, want plain UTF-8")
	case !utf8.Valid(data):
		return nil, at(1, 1, "invalid UTF-8")
	case bytes.IndexByte(data, 0) >= 0:
		return nil, at(1, 1, "NUL byte")
	case len(bytes.TrimSpace(data)) == 0:
		return nil, at(1, 1, "empty policy: it would decide nothing")
	case bytes.HasPrefix(data, []byte("%")) || bytes.Contains(data, []byte("\n%")):
		// Nothing else in a policy begins a line so.
		return nil, at(1, 1, "YAML directive, want a plain document")
	}
	var notJSON error
	if data[0] == '{' || bytes.TrimLeft(data, " \t\r\n")[0] == '{' {
		if notJSON = strictjson.Check(data, maxPolicyDepth); notJSON == nil {
			return newJSONReader(data).read(data)
		}
		// YAML's flow form looks alike and is read below.
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return nil, yamlProblem(err, notJSON)
	}
	var second yaml.Node
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, yamlProblem(err, notJSON)
		}
		return nil, at(second.Line, second.Column, "second document, want one policy per file")
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, at(1, 1, "empty policy: it would decide nothing")
	}
	r := &yamlReader{lines: bytes.Split(data, []byte("\n"))}
	return r.convert(doc.Content[0], 1)
}

var yamlLine = regexp.MustCompile(`line (\d+)`)

// yamlProblem says where YAML is broken, and what keeps a text that begins as
// JSON from being that.
func yamlProblem(err, notJSON error) error {
	p := &Problem{Line: 1, Column: 1, Message: strings.TrimPrefix(err.Error(), "yaml: ")}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		fmt.Sscan(m[1], &p.Line)
		p.Message = strings.TrimPrefix(p.Message, m[0]+": ")
	}
	if notJSON != nil {
		p.Message = fmt.Sprintf("neither JSON (%v) nor YAML (%s)", notJSON, p.Message)
	}
	return p
}

// A yamlReader turns YAML's nodes into ours.
type yamlReader struct {
	lines [][]byte // of the file
	line  int      // whose characters are in runes
	runes []rune
	count int // of values
}

// tagged reports whether a tag stands before a value. The parser drops "!" alone
// without a trace but for the position, which is that of the tag.
func (r *yamlReader) tagged(y *yaml.Node) bool {
	if y.Style&yaml.TaggedStyle != 0 {
		return true
	}
	if y.Line < 1 || y.Line > len(r.lines) {
		return false
	}
	if r.line != y.Line {
		r.line, r.runes = y.Line, []rune(string(r.lines[y.Line-1]))
	}
	return y.Column >= 1 && y.Column <= len(r.runes) && r.runes[y.Column-1] == '!'
}

func (r *yamlReader) convert(y *yaml.Node, depth int) (*node, error) {
	n := &node{text: y.Value, line: y.Line, col: y.Column}
	refuse := func(format string, args ...any) error {
		return &Problem{Line: y.Line, Column: y.Column, Message: fmt.Sprintf(format, args...)}
	}
	if r.count++; r.count > maxNodes {
		return nil, refuse("more than %d values", maxNodes)
	}
	switch {
	case depth > maxPolicyDepth:
		return nil, refuse("nested deeper than %d levels", maxPolicyDepth)
	case y.Kind == yaml.AliasNode:
		return nil, refuse("YAML alias *%s: write the value out", clip(y.Value))
	case y.Anchor != "":
		return nil, refuse("YAML anchor &%s: write the value out where it is used", clip(y.Anchor))
	case r.tagged(y):
		return nil, refuse("YAML tag %s: the field decides the type", clip(y.Tag))
	}
	switch y.Kind {
	case yaml.ScalarNode:
		n.plain = y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
		return n, nil
	case yaml.SequenceNode:
		n.kind = listNode
		for _, c := range y.Content {
			item, err := r.convert(c, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		return n, nil
	case yaml.MappingNode:
		n.kind = mapNode
		for i := 0; i+1 < len(y.Content); i += 2 {
			key, err := r.convert(y.Content[i], depth+1)
			if err != nil {
				return nil, err
			}
			if key.kind != scalarNode {
				return nil, &Problem{Line: key.line, Column: key.col, Message: "a name that is " + key.kind.String() + ", want text"}
			}
			if key.plain && key.text == "<<" {
				return nil, &Problem{Line: key.line, Column: key.col, Message: "YAML merge key <<: write the values out"}
			}
			value, err := r.convert(y.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			if err := n.add(key, value); err != nil {
				return nil, err
			}
		}
		return n, nil
	}
	return nil, refuse("unknown YAML construct")
}

// add appends a member; a name twice is an error, however it is spelled.
func (n *node) add(key, value *node) error {
	if i := slices.IndexFunc(n.members, func(m member) bool { return m.key.text == key.text }); i >= 0 {
		return &Problem{Line: key.line, Column: key.col,
			Message: fmt.Sprintf("%.64q twice, first in line %d", key.text, n.members[i].key.line)}
	}
	if len(n.members) == maxMembers {
		return &Problem{Line: key.line, Column: key.col, Message: fmt.Sprintf("more than %d names in one map", maxMembers)}
	}
	n.members = append(n.members, member{key, value})
	return nil
}

// A jsonReader reads JSON that strictjson.Check has accepted.
type jsonReader struct {
	whole []byte
	lines []int // offsets of line feeds
	count int
}

func newJSONReader(data []byte) *jsonReader {
	r := &jsonReader{whole: data}
	for i, c := range data {
		if c == '\n' {
			r.lines = append(r.lines, i)
		}
	}
	return r
}

// position is the line and column of a part of the file.
func (r *jsonReader) position(raw []byte) (line, col int) {
	offset := cap(r.whole) - cap(raw) // raw is a slice of whole, up to its end
	line, _ = slices.BinarySearch(r.lines, offset)
	if line > 0 {
		return line + 1, offset - r.lines[line-1]
	}
	return 1, offset + 1
}

func (r *jsonReader) read(raw []byte) (*node, error) {
	raw = bytes.Trim(raw, " \t\r\n")
	n := &node{}
	n.line, n.col = r.position(raw)
	if r.count++; r.count > maxNodes {
		return nil, &Problem{Line: n.line, Column: n.col, Message: fmt.Sprintf("more than %d values", maxNodes)}
	}
	switch strictjson.KindOf(raw) {
	case strictjson.Map:
		n.kind = mapNode
		members, err := strictjson.Object(raw)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			value, err := r.read(m.Value)
			if err != nil {
				return nil, err
			}
			if err := n.add(&node{text: m.Name, line: value.line, col: value.col}, value); err != nil {
				return nil, err
			}
		}
	case strictjson.List:
		n.kind = listNode
		items, err := strictjson.Array(raw)
		if err != nil {
			return nil, err
		}
		for _, it := range items {
			value, err := r.read(it)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, value)
		}
	case strictjson.Text:
		text, err := strictjson.String(raw)
		if err != nil {
			return nil, err
		}
		n.text = text
	default:
		n.text, n.plain = string(raw), true
	}
	return n, nil
}
