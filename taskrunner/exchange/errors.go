package exchange

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Errors of channels; they keep their identity across a connection.
var (
	// ErrProtocol: the peer broke the rules of the wire. The connection is closed.
	ErrProtocol = errors.New("exchange: protocol violation")
	// ErrStale: the consumer asked for an older generation of the producer than is running.
	ErrStale = errors.New("exchange: channel of an older generation")
	// ErrPartitionNotFound: the producer was not deployed within the request timeout.
	ErrPartitionNotFound = errors.New("exchange: partition not found")
	// ErrConsumed: the channel already has a consumer.
	ErrConsumed = errors.New("exchange: channel has a consumer already")
	// ErrProducerFailed: the producing task failed or was cancelled; the cause is reported there.
	ErrProducerFailed = errors.New("exchange: the producing task has ended early")
	// ErrWrongJob: the peer belongs to another job.
	ErrWrongJob = errors.New("exchange: peer runs another job")
	// ErrClosed: the exchange has been closed.
	ErrClosed = errors.New("exchange: closed")
	// ErrRecordTooLarge: an encoded record is above MaxRecord.
	ErrRecordTooLarge = errors.New("exchange: record is too large")

	errConsumerEnded = errors.New("exchange: the consumer has ended")
)

// ConnectionError says that a connection to a peer could not be made or was lost.
type ConnectionError struct {
	Addr string
	Err  error
}

func (e *ConnectionError) Error() string {
	return fmt.Sprintf("data connection with %s: %v", e.Addr, e.Err)
}

// Unwrap returns the cause.
func (e *ConnectionError) Unwrap() error { return e.Err }

// codes are the errors' numbers on the wire; numbers are only added.
var codes = []error{1: ErrProtocol, 2: ErrStale, 3: ErrPartitionNotFound, 4: ErrConsumed, 5: ErrProducerFailed, 6: ErrWrongJob, 7: ErrClosed, 8: ErrRecordTooLarge}

// marshalError makes the payload of an error frame: the code, then text.
func marshalError(err error) []byte {
	var code uint16
	for i, sentinel := range codes {
		if sentinel != nil && errors.Is(err, sentinel) {
			code = uint16(i)
			break
		}
	}
	const longest = 4 << 10
	text := err.Error()
	text = text[:min(len(text), longest)]
	return append(binary.LittleEndian.AppendUint16(nil, code), text...)
}

func parseError(b []byte) error {
	if len(b) < 2 {
		return fmt.Errorf("%w: error frame of %d bytes", ErrProtocol, len(b))
	}
	e := &peerError{text: string(b[2:])}
	if code := int(binary.LittleEndian.Uint16(b)); code > 0 && code < len(codes) {
		e.is = codes[code]
	}
	return e
}

// peerError is an error that a peer reported.
type peerError struct {
	is   error
	text string
}

func (e *peerError) Error() string { return "reported by the producer's side: " + e.text }

func (e *peerError) Unwrap() error { return e.is }
