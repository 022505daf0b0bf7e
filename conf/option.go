package conf

import "fmt"

// Option is one key that a user can set. T is the type of its value.
type Option[T any] struct {
	// Key is the name in files and in -D.
	Key string
	// Deprecated are older names of Key. They are accepted with a warning; Key wins when both stand in one file.
	Deprecated []string
	// Fallback names another option whose value is used, without a warning, when Key is not set.
	Fallback string
	// Default is the value when nothing is set.
	Default T
	// NoDefault says that there is no default: Get returns the zero Default and the reference page says so.
	NoDefault bool
	// Doc says what the option does, in sentences, and why its default differs from Flink's where it does.
	Doc string
	// Secret hides the value wherever it could be printed, whatever the key is called.
	Secret bool
	// Planned says that the key is read and checked but has no effect yet; setting it to anything but the default warns.
	Planned bool

	typ   valueType[T]
	check func(T) error
}

// Get returns the value in c, or the default.
func (o Option[T]) Get(c *Config) T {
	v, _ := o.Lookup(c)
	return v
}

// Lookup returns the value in c and whether anything set it (the key itself or its fallback); otherwise the default and false.
func (o Option[T]) Lookup(c *Config) (T, bool) {
	if parsed, ok := c.parsedValue(o.Key); ok {
		return o.typ.copyOf(parsed.(T)), true
	}
	return o.typ.copyOf(o.Default), false
}

// IsSet tells whether anything set the option (the key itself or its fallback).
func (o Option[T]) IsSet(c *Config) bool {
	_, ok := c.parsedValue(o.Key)
	return ok
}

// Setting writes v as a setting of this option, for Config.With.
func (o Option[T]) Setting(v T) Setting {
	return Setting{Key: o.Key, Value: o.typ.format(v)}
}

func (o Option[T]) parse(raw string) (T, error) {
	v, err := o.typ.parse(raw)
	if err == nil && o.check != nil {
		err = o.check(v)
	}
	if err != nil {
		var zero T
		return zero, err
	}
	return v, nil
}

// Description is what the reference page and `flott` print about an option.
type Description struct {
	Key        string
	Deprecated []string
	Fallback   string
	Type       string
	Default    string // written form; "" when there is none
	Doc        string
	Secret     bool
	Planned    bool
}

// described is an Option[T] of any T.
type described interface {
	describe() Description
	parseAny(raw string) (any, error)
	// isMap tells whether keys below Key (Key + "." + name) belong to the option.
	isMap() bool
}

func (o Option[T]) describe() Description {
	d := Description{
		Key: o.Key, Deprecated: o.Deprecated, Fallback: o.Fallback, Type: o.typ.name,
		Doc: o.Doc, Secret: o.Secret, Planned: o.Planned,
	}
	if !o.NoDefault {
		d.Default = o.typ.format(o.Default)
	}
	return d
}

func (o Option[T]) parseAny(raw string) (any, error) { return o.parse(raw) }

func (o Option[T]) isMap() bool {
	_, ok := any(o.Default).(map[string]string)
	return ok
}

// PrefixOption is a family of keys that share a prefix; what follows the prefix is a name that the user chooses.
type PrefixOption struct {
	// Prefix ends with a dot.
	Prefix string
	// Doc says what the keys do.
	Doc string
	// Example is a whole line for the reference page.
	Example string
}

// Get returns name → value for every key in c that starts with the prefix.
func (p PrefixOption) Get(c *Config) map[string]string {
	out := map[string]string{}
	for key, e := range c.all() {
		if name, ok := cutPrefixName(key, p.Prefix); ok {
			out[name] = e.raw
		}
	}
	return out
}

// Setting is a key with its written value.
type Setting struct{ Key, Value string }

// String prints the setting as -D takes it, a secret masked.
func (s Setting) String() string { return fmt.Sprintf("%s=%s", s.Key, maskValue(s.Key, s.Value)) }
