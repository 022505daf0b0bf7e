package rest

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// serializedThrowable writes an org.apache.flink.util.SerializedThrowable (Flink 1.20) in the form of Java's object serialisation: an
// exception whose class the reader need not have, with its name, message and stack trace as text. Flink's client shows these.
//
// Only what is text differs from one to the next; the bytes between are what Java writes for the three classes SerializedThrowable,
// java.lang.Exception and java.lang.Throwable with their version numbers and fields.
func serializedThrowable(class, message, stackTrace string) []byte {
	b := append([]byte(nil), throwableClass...)
	b = append(b, javaNull) // Throwable.cause
	b = appendJavaString(b, message)
	b = append(b, javaNull, javaNull, javaEndBlockData) // Throwable.stackTrace and suppressedExceptions, end of what Throwable writes
	b = appendJavaString(b, stackTrace)
	b = appendJavaString(b, class)
	return append(b, javaNull) // the exception itself: there is none to be had
}

// Tags of the format (java.io.ObjectStreamConstants).
const (
	javaNull         = 0x70
	javaString       = 0x74
	javaEndBlockData = 0x78
	javaLongString   = 0x7c
)

// throwableClass is the head of the stream: magic number, TC_OBJECT, and the three class descriptions. q\x00~\x00\x01 refers to the field
// type Ljava/lang/String; that was written before.
const throwableClass = "\xac\xed\x00\x05s" +
	"r\x00\x29org.apache.flink.util.SerializedThrowable\x65\x16\x9d\xf5\x1f\xa7\x13\xf3\x02\x00\x03" +
	"L\x00\x19fullStringifiedStackTracet\x00\x12Ljava/lang/String;" +
	"L\x00\x16originalErrorClassNameq\x00~\x00\x01" +
	"[\x00\x13serializedExceptiont\x00\x02[Bx" +
	"r\x00\x13java.lang.Exception\xd0\xfd\x1f\x3e\x1a\x3b\x1c\xc4\x02\x00\x00x" +
	"r\x00\x13java.lang.Throwable\xd5\xc6\x35\x27\x39\x77\xb8\xcb\x03\x00\x04" +
	"L\x00\x05causet\x00\x15Ljava/lang/Throwable;" +
	"L\x00\x0ddetailMessageq\x00~\x00\x01" +
	"[\x00\x0astackTracet\x00\x1e[Ljava/lang/StackTraceElement;" +
	"L\x00\x14suppressedExceptionst\x00\x10Ljava/util/List;xp"

// appendJavaString appends a string object. Java's UTF-8 writes NUL in two bytes and characters beyond the first plane as surrogates.
func appendJavaString(b []byte, s string) []byte {
	var text []byte
	for _, r := range s {
		switch {
		case r == 0:
			text = append(text, 0xc0, 0x80)
		case r > math.MaxUint16:
			r -= 1 << 16
			text = appendSurrogate(appendSurrogate(text, 0xd800+r>>10), 0xdc00+r&0x3ff)
		default:
			text = utf8.AppendRune(text, r)
		}
	}
	if len(text) > math.MaxUint16 {
		b = binary.BigEndian.AppendUint64(append(b, javaLongString), uint64(len(text)))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, javaString), uint16(len(text)))
	}
	return append(b, text...)
}

// appendSurrogate writes half of a character in three bytes, which utf8 refuses to do.
func appendSurrogate(b []byte, half rune) []byte {
	return append(b, 0xe0|byte(half>>12), 0x80|byte(half>>6)&0xbf, 0x80|byte(half)&0xbf)
}
