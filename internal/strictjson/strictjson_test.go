package strictjson_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hallmark-dev/hallmark/internal/strictjson"
)

func TestCheck(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := []struct {
		name, in, want string // want is part of the error; empty accepts
	}{
		{"object", `{"a":[1,-2.5e+3,true,false,null,"x"],"b":{}}`, ""},
		{"white space", " \t\r\n[ ] ", ""},
		{"escapes", `"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"`, ""},
		{"depth at the limit", deep(strictjson.DefaultDepth), ""},
		{"depth above the limit", deep(strictjson.DefaultDepth + 1), "nested deeper than 64"},
		{"empty", "", "empty"},
		{"only space", "  ", "cut off"},
		{"duplicate", `{"a":1,"a":2}`, `"a" twice`},
		{"duplicate by escape", `{"a":1,"\u0061":2}`, `"a" twice`},
		{"duplicate deep", `{"x":[{"b":1,"b":1}]}`, `"b" twice`},
		{"duplicate among many", `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1,"m":1,"n":1,"c":2}`, `"c" twice`},
		{"same name in two objects", `[{"a":1},{"a":1}]`, ""},
		{"names that differ in case", `{"a":1,"A":2}`, ""},
		{"trailing data", `{} {}`, "data after"},
		{"trailing comma", `[1,]`, "unexpected byte"},
		{"byte order mark", "\xef\xbb\xbf{}", "byte order mark"},
		{"UTF-16", "\xff\xfe{\x00}\x00", "unexpected byte"},
		{"NUL", "{}\x00", "data after"},
		{"invalid UTF-8", "\"\xff\"", "invalid UTF-8"},
		{"lone high surrogate", `"\ud800"`, "lone surrogate"},
		{"lone low surrogate", `"\udc00"`, "lone surrogate"},
		{"high surrogate twice", `"\ud800\ud800"`, "lone surrogate"},
		{"control character", "\"\n\"", "control character"},
		{"leading zero", `01`, "not a JSON number"},
		{"bare minus", `-`, "not a JSON number"},
		{"point without digit", `1.`, "no digit after"},
		{"exponent without digit", `1e`, "no digit in the exponent"},
		{"plus", `+1`, "unexpected byte"},
		{"word", `nul`, "want null"},
		{"NaN", `NaN`, "unexpected byte"},
		{"unquoted name", `{a:1}`, "quoted name"},
		{"cut in a string", `"abc`, "cut off"},
		{"cut in an escape", `"\`, "cut off"},
		{"cut in \\u", `"\u00`, "cut off"},
		{"unknown escape", `"\x41"`, "unknown escape"},
		{"cut in an array", `[1`, "cut off"},
		{"missing colon", `{"a" 1}`, "want :"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := strictjson.Check([]byte(tt.in), 0)
			if tt.want == "" && err != nil {
				t.Fatalf("refused: %v", err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Fatalf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

type sample struct {
	Name   string            `json:"name"`
	Count  int64             `json:"count"`
	Ratio  float64           `json:"ratio"`
	On     bool              `json:"on"`
	Tags   []string          `json:"tags"`
	Set    map[string]string `json:"set"`
	Raw    json.RawMessage   `json:"raw"`
	Inner  *sample           `json:"inner"`
	Hidden string
}

func TestDecode(t *testing.T) {
	var s sample
	err := strictjson.Decode([]byte(` {"name":"n","count":9007199254740993,"ratio":1.5,"on":true,"tags":["a","b"],
		"set":{"k":"v"},"raw":{"x": 1.0},"inner":{"name":"i"},"unknown":[1],"NAME":"other","Hidden":"h"} `), &s, 0)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "n" || s.Count != 9007199254740993 || s.Ratio != 1.5 || !s.On || len(s.Tags) != 2 || s.Set["k"] != "v" ||
		string(s.Raw) != `{"x": 1.0}` || s.Inner.Name != "i" || s.Hidden != "" {
		t.Fatalf("got %+v", s)
	}

	for name, tt := range map[string]struct{ in, want string }{
		"string for number":  {`{"count":"1"}`, "count: a string, want an integer"},
		"fraction":           {`{"count":1.0}`, "count: number 1.0, want an integer of 64 bits"},
		"too large":          {`{"count":9223372036854775808}`, "count: number 9223372036854775808, want an integer of 64 bits"},
		"number for string":  {`{"inner":{"name":1}}`, "inner.name: a number, want a string"},
		"object for array":   {`{"tags":{}}`, "tags: an object, want an array"},
		"wrong element":      {`{"tags":["a",1]}`, "tags[1]: a number, want a string"},
		"array for object":   {`{"set":[]}`, "set: an array, want an object"},
		"word for boolean":   {`{"on":"true"}`, "on: a string, want true or false"},
		"array at the top":   {`[]`, "json: byte 0: an array, want an object"},
		"too large a float":  {`{"ratio":1e400}`, "ratio: number 1e400 does not fit"},
		"odd name in a path": {`{"set":{"a.b":1}}`, `set."a.b": a number, want a string`},
	} {
		t.Run(name, func(t *testing.T) {
			var s sample
			err := strictjson.Decode([]byte(tt.in), &s, 0)
			if err == nil || err.Error() != tt.want {
				t.Fatalf("got %v, want %s", err, tt.want)
			}
		})
	}

	t.Run("null is absent", func(t *testing.T) {
		s := sample{Name: "before"}
		if err := strictjson.Decode([]byte(`{"name":null,"tags":null,"inner":null}`), &s, 0); err != nil || s.Name != "before" || s.Tags != nil {
			t.Fatalf("got %+v, %v", s, err)
		}
	})
}

func TestMarshal(t *testing.T) {
	got, err := strictjson.Marshal(map[string]any{"b": "<&>", "a": json.RawMessage(`{"n": 1.0, "big": 9007199254740993}`)})
	if want := `{"a":{"n":1.0,"big":9007199254740993},"b":"<&>"}`; err != nil || string(got) != want {
		t.Fatalf("got %s, %v, want %s", got, err, want)
	}
	if _, err := strictjson.Marshal(map[string][]string{"a": {"ok", "\xff"}}); err == nil {
		t.Fatal("invalid UTF-8 was accepted")
	}
}

// FuzzCheck compares with encoding/json: what Check accepts, it accepts too, and
// both read the same value; and walking never fails on what Check accepted.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{`{"a":[1,"\u00e9",null]}`, `[[[]]]`, `"\ud83d\ude00"`, `{"a":1,"a":2}`, `1e5`, ` true `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if strictjson.Check(data, 0) != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("Check accepted what is no JSON: %q", data)
		}
		walk(t, data)
	})
}

func walk(t *testing.T, raw []byte) {
	switch strictjson.KindOf(raw) {
	case strictjson.Map:
		members, err := strictjson.Object(raw)
		if err != nil {
			t.Fatalf("Object: %v on %q", err, raw)
		}
		var std map[string]json.RawMessage
		if err := json.Unmarshal(raw, &std); err != nil || len(std) != len(members) {
			t.Fatalf("encoding/json reads %d members, want %d (%v)", len(std), len(members), err)
		}
		for _, m := range members {
			walk(t, m.Value)
		}
	case strictjson.List:
		elems, err := strictjson.Array(raw)
		if err != nil {
			t.Fatalf("Array: %v on %q", err, raw)
		}
		for _, e := range elems {
			walk(t, e)
		}
	case strictjson.Text:
		got, err := strictjson.String(raw)
		var want string
		if err2 := json.Unmarshal(raw, &want); err != nil || err2 != nil || got != want {
			t.Fatalf("String reads %q (%v), encoding/json %q (%v)", got, err, want, err2)
		}
	case strictjson.Invalid:
		t.Fatalf("no kind for %q", raw)
	}
}
