package sasl

import (
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Tokens of the DIGEST-MD5 layers (RFC 2831 §2.3, §2.4; JDK 17):
//
//	integrity: message | MAC (10) | 0001 | sequence (4)
//	privacy:   encrypt(message | padding | MAC (10)) | 0001 | sequence (4)
//
// MAC is the first 10 bytes of HMAC-MD5(signing key, sequence | message). Sequences begin at 0 in each direction. The cipher runs on from
// message to message. Padding (3des only) is n bytes of value n that fill message, padding and MAC to whole blocks.
const (
	macSize     = 10
	trailerSize = 6
	messageType = 1
)

// newLayer makes the layer d agreed on; client says which half we are, maxOut what the peer takes.
func newLayer(d *digest, client bool, maxOut int) (Layer, error) {
	if d.qop == Auth {
		return nil, nil
	}
	out, in := "client-to-server", "server-to-client"
	if !client {
		out, in = in, out
	}
	l := &layer{out: direction{key: d.signingKey(out)}, in: direction{key: d.signingKey(in)}, max: maxOut - macSize - trailerSize}
	if d.qop == AuthConf {
		l.max -= des.BlockSize
		if err := l.out.encryption(d.cipher, d.sealingKey(out), true); err != nil {
			return nil, err
		}
		if err := l.in.encryption(d.cipher, d.sealingKey(in), false); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (d *digest) signingKey(direction string) []byte {
	a1 := d.a1()
	sum := md5.Sum([]byte(string(a1[:]) + "Digest session key to " + direction + " signing key magic constant"))
	return sum[:]
}

// sealingKey takes all 16 bytes of H(A1): the ciphers we speak have 128-bit keys.
func (d *digest) sealingKey(direction string) []byte {
	a1 := d.a1()
	sum := md5.Sum([]byte(string(a1[:]) + "Digest H(A1) to " + direction + " sealing key magic constant"))
	return sum[:]
}

type layer struct {
	out, in direction
	max     int
}

// direction is one way of a connection: keys, cipher state, sequence.
type direction struct {
	key    []byte
	seq    uint32
	stream *rc4.Cipher      // rc4
	blocks cipher.BlockMode // 3des
}

func (x *direction) encryption(name string, key []byte, encrypt bool) (err error) {
	switch name {
	case "rc4":
		x.stream, err = rc4.NewCipher(key)
		return err
	case "3des":
		k1, k2 := desKey(key[:7]), desKey(key[7:14])
		block, err := des.NewTripleDESCipher(append(append(append([]byte{}, k1...), k2...), k1...))
		if err != nil {
			return err
		}
		iv := key[8:16]
		if encrypt {
			x.blocks = cipher.NewCBCEncrypter(block, iv)
		} else {
			x.blocks = cipher.NewCBCDecrypter(block, iv)
		}
		return nil
	default:
		return fmt.Errorf("%w: cipher %q", ErrNoMethod, name)
	}
}

// desKey spreads 56 bits over 8 bytes, each with odd parity.
func desKey(half []byte) []byte {
	var v uint64
	for _, b := range half {
		v = v<<8 | uint64(b)
	}
	out := make([]byte, 8)
	for i := range out {
		b := byte(v>>(49-7*i)) << 1
		if bits.OnesCount8(b)%2 == 0 {
			b |= 1
		}
		out[i] = b
	}
	return out
}

// crypt runs the direction's cipher over b in place.
func (x *direction) crypt(b []byte) {
	switch {
	case x.stream != nil:
		x.stream.XORKeyStream(b, b)
	case x.blocks != nil:
		x.blocks.CryptBlocks(b, b)
	}
}

func (x *direction) mac(message []byte) []byte {
	h := hmac.New(md5.New, x.key)
	var seq [4]byte
	binary.BigEndian.PutUint32(seq[:], x.seq)
	h.Write(seq[:])
	h.Write(message)
	return h.Sum(nil)[:macSize]
}

func (l *layer) MaxChunk() int { return l.max }

func (l *layer) Wrap(message []byte) ([]byte, error) {
	x := &l.out
	if len(message) > l.max {
		return nil, fmt.Errorf("%w: %d bytes in one message, more than %d", ErrLayer, len(message), l.max)
	}
	pad := 0
	if x.blocks != nil {
		pad = des.BlockSize - (len(message)+macSize)%des.BlockSize
	}
	out := make([]byte, 0, len(message)+pad+macSize+trailerSize)
	out = append(out, message...)
	for range pad {
		out = append(out, byte(pad))
	}
	out = append(out, x.mac(message)...)
	x.crypt(out)
	out = binary.BigEndian.AppendUint16(out, messageType)
	out = binary.BigEndian.AppendUint32(out, x.seq)
	x.seq++
	return out, nil
}

func (l *layer) Unwrap(token []byte) ([]byte, error) {
	x := &l.in
	body := len(token) - trailerSize
	if body < macSize || x.blocks != nil && body%des.BlockSize != 0 {
		return nil, fmt.Errorf("%w: %d bytes", ErrLayer, len(token))
	}
	if binary.BigEndian.Uint16(token[body:]) != messageType || binary.BigEndian.Uint32(token[body+2:]) != x.seq {
		return nil, fmt.Errorf("%w: out of sequence", ErrLayer)
	}
	x.crypt(token[:body])
	message, mac := token[:body-macSize], token[body-macSize:body]
	if x.blocks != nil {
		pad := 0
		if len(message) > 0 {
			pad = int(message[len(message)-1])
		}
		if pad < 1 || pad > des.BlockSize || pad > len(message) {
			return nil, fmt.Errorf("%w: padding", ErrLayer)
		}
		message = message[:len(message)-pad]
	}
	if !hmac.Equal(mac, x.mac(message)) {
		return nil, fmt.Errorf("%w: checksum", ErrLayer)
	}
	x.seq++
	return message, nil
}
