package kafka

// keyPartition is the partition of a key as Java's clients choose it, so that topics
// with the same number of partitions can be joined whoever wrote them.
func keyPartition(key []byte, partitions int) int {
	return int(murmur2(key)&0x7fffffff) % partitions
}

// murmur2 is the hash by Austin Appleby that Kafka's Java clients use, with their
// seed.
func murmur2(key []byte) uint32 {
	const (
		seed  = 0x9747b28c
		mix   = 0x5bd1e995
		shift = 24
	)
	h := seed ^ uint32(len(key))
	for ; len(key) >= 4; key = key[4:] {
		k := uint32(key[0]) | uint32(key[1])<<8 | uint32(key[2])<<16 | uint32(key[3])<<24
		k *= mix
		k ^= k >> shift
		k *= mix
		h = h*mix ^ k
	}
	switch len(key) {
	case 3:
		h ^= uint32(key[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(key[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(key[0])
		h *= mix
	}
	h ^= h >> 13
	h *= mix
	return h ^ h>>15
}
