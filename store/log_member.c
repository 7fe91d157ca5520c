/* What the log knows of its groups, in memory: base, vote, and where each entry is. No I/O, so that recovery and use
 * change it by the same functions. */
#include <assert.h>
#include <string.h>

#include "store/log_internal.h"

static size_t member_at(const struct log *log, uint32_t group)
{
	size_t low = 0, high = log->member_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (log->members[middle]->group < group)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct log_member *log_member_find(struct log *log, uint32_t group)
{
	size_t at = member_at(log, group);

	return at < log->member_count && log->members[at]->group == group ? log->members[at] : NULL;
}

int log_member_make(struct log *log, uint32_t group, struct log_member **ret_member)
{
	struct log_member *m = log_member_find(log, group);

	if (m) {
		*ret_member = m;
		return 0;
	}
	if (log->member_count == log->member_capacity) {
		size_t capacity = log->member_capacity ? log->member_capacity * 2 : 16;
		struct log_member **members = realloc(log->members, capacity * sizeof(struct log_member *));
		if (!members)
			return -ENOMEM;
		log->members = members;
		log->member_capacity = capacity;
	}
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->group = group;
	size_t at = member_at(log, group);
	memmove(log->members + at + 1, log->members + at, (log->member_count - at) * sizeof(struct log_member *));
	log->members[at] = m;
	log->member_count++;
	*ret_member = m;
	return 0;
}

void log_member_free(struct log_member *m)
{
	free(m->places);
	free(m);
}

int log_member_reserve(struct log_member *m, size_t more)
{
	if (m->first + m->count + more <= m->capacity)
		return 0;
	/* What compaction left at the beginning is used first, when it is worth the move. */
	if (m->first >= m->capacity / 2 && m->first > 0) {
		memmove(m->places, m->places + m->first, m->count * sizeof(*m->places));
		m->first = 0;
		if (m->count + more <= m->capacity)
			return 0;
	}
	size_t capacity = m->capacity ? m->capacity : 64;
	while (capacity < m->first + m->count + more)
		capacity *= 2;
	struct log_place *places = realloc(m->places, capacity * sizeof(*places));
	if (!places)
		return -ENOMEM;
	m->places = places;
	m->capacity = capacity;
	return 0;
}

void log_member_add(struct log *log, struct log_member *m, struct log_place place)
{
	assert(m->first + m->count < m->capacity);
	m->places[m->first + m->count++] = place;
	log->bytes += log_record_space(place.size);
}

void log_member_cut(struct log *log, struct log_member *m, uint64_t from_index)
{
	while (m->count > 0 && log_member_last(m) >= from_index) {
		m->count--;
		log->bytes -= log_record_space(m->places[m->first + m->count].size);
	}
}

void log_member_set_base(struct log *log, struct log_member *m, uint64_t index, uint64_t term)
{
	if (index < m->base_index)
		return;
	if (index > m->base_index) {
		bool keep = index <= log_member_last(m) && log_member_place(m, index)->term == term;
		uint64_t drop = keep ? index - m->base_index : m->count;
		for (uint64_t i = 0; i < drop; i++)
			log->bytes -= log_record_space(m->places[m->first + i].size);
		m->first += drop;
		m->count -= drop;
		if (m->count == 0)
			m->first = 0;
	}
	m->base_index = index;
	m->base_term = term;
}
