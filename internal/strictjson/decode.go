package strictjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// Decode stores a JSON document in the value that v points to, after [Check]
// with maxDepth. It differs from encoding/json in what matters to a verifier:
//
//   - names match byte by byte, never in another case;
//   - numbers go into integers only if they are written as integers and fit;
//   - null leaves the field as it was, as if it were absent;
//   - names that the type does not have are skipped;
//   - the error is an [*Error] with the path of the value.
//
// Types may be built of structs, pointers, slices, maps with string keys,
// string, bool, int64, int, float64, any and [json.RawMessage]. A field's name is its
// json tag. A json.RawMessage aliases data. Another type is a mistake of the
// program and panics.
func Decode(data []byte, v any, maxDepth int) error {
	if err := Check(data, maxDepth); err != nil {
		return err
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		panic("strictjson: Decode into " + rv.Type().String())
	}
	return decode(bytes.Trim(data, " \t\r\n"), rv.Elem(), "")
}

// DecodeAt is [Decode] for a part of a document that was checked as a whole;
// path is put before the path of an error.
func DecodeAt(raw []byte, v any, path string) error {
	return decode(raw, reflect.ValueOf(v).Elem(), path)
}

var rawType = reflect.TypeFor[json.RawMessage]()

func decode(raw []byte, v reflect.Value, path string) error {
	kind := KindOf(raw)
	if v.Type() == rawType {
		v.SetBytes(raw[:len(raw):len(raw)])
		return nil
	}
	if kind == Null {
		return nil
	}
	wrong := func(want string) error {
		return &Error{Path: path, Reason: fmt.Sprintf("%s, want %s", kind, want)}
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return decode(raw, v.Elem(), path)
	case reflect.Interface:
		if v.NumMethod() != 0 {
			break
		}
		var x any
		d := json.NewDecoder(strings.NewReader(string(raw)))
		d.UseNumber()
		if err := d.Decode(&x); err != nil {
			return &Error{Path: path, Reason: err.Error()}
		}
		v.Set(reflect.ValueOf(x))
		return nil
	case reflect.String:
		if kind != Text {
			return wrong("a string")
		}
		text, err := String(raw)
		if err != nil {
			return err
		}
		v.SetString(text)
		return nil
	case reflect.Bool:
		if kind != Bool {
			return wrong("true or false")
		}
		v.SetBool(raw[0] == 't')
		return nil
	case reflect.Int, reflect.Int64:
		if kind != Number {
			return wrong("an integer")
		}
		n, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil || v.OverflowInt(n) {
			return &Error{Path: path, Reason: fmt.Sprintf("number %.32s, want an integer of 64 bits", raw)}
		}
		v.SetInt(n)
		return nil
	case reflect.Float64:
		if kind != Number {
			return wrong("a number")
		}
		f, err := strconv.ParseFloat(string(raw), 64)
		if err != nil || math.IsInf(f, 0) {
			return &Error{Path: path, Reason: fmt.Sprintf("number %.32s does not fit", raw)}
		}
		v.SetFloat(f)
		return nil
	case reflect.Slice:
		if kind != List {
			return wrong("an array")
		}
		elems, err := Array(raw)
		if err != nil {
			return err
		}
		s := reflect.MakeSlice(v.Type(), len(elems), len(elems))
		for i, e := range elems {
			if err := decode(e, s.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		v.Set(s)
		return nil
	case reflect.Map:
		if kind != Map {
			return wrong("an object")
		}
		members, err := Object(raw)
		if err != nil {
			return err
		}
		m := reflect.MakeMapWithSize(v.Type(), len(members))
		for _, f := range members {
			e := reflect.New(v.Type().Elem()).Elem()
			if err := decode(f.Value, e, join(path, f.Name)); err != nil {
				return err
			}
			m.SetMapIndex(reflect.ValueOf(f.Name).Convert(v.Type().Key()), e)
		}
		v.Set(m)
		return nil
	case reflect.Struct:
		if kind != Map {
			return wrong("an object")
		}
		members, err := Object(raw)
		if err != nil {
			return err
		}
		for _, f := range members {
			if field, ok := fieldByTag(v, f.Name); ok {
				if err := decode(f.Value, field, join(path, f.Name)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	panic("strictjson: Decode into " + v.Type().String())
}

func fieldByTag(v reflect.Value, name string) (reflect.Value, bool) {
	t := v.Type()
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if tag == name && tag != "" && tag != "-" {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func join(path, name string) string {
	if len(name) > 64 {
		name = name[:64]
	}
	if strings.ContainsAny(name, ".[]\"\n") || name == "" {
		name = strconv.Quote(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}
