/* See findings.h. */
#include "objects/findings.h"

#include <stdlib.h>
#include <string.h>

#include "base/grow.h"

void findings_init(struct findings *f) { *f = (struct findings){ 0 }; }

void findings_done(struct findings *f)
{
	for (size_t i = 0; i < f->count; i++) {
		free(f->items[i].file);
		free(f->items[i].text);
	}
	free(f->items);
}

int findings_add(struct findings *f, enum finding_kind kind, uint64_t ino, const char *file, const char *text)
{
	void *grown = grow(f->items, &f->capacity, f->count, sizeof(*f->items));
	if (!grown)
		return -ENOMEM;
	f->items = grown;
	struct kept_finding k = { .kind = kind, .ino = ino, .file = file ? strdup(file) : NULL, .text = strdup(text) };
	if (!k.text || (file && !k.file)) {
		free(k.file);
		free(k.text);
		return -ENOMEM;
	}
	f->items[f->count++] = k;
	return 0;
}

/* ---- paths -------------------------------------------------------------------------------------------------------- */

/* Directories that are still to be read. Each has one place, so the walk ends, but for a damaged tree: hence the bound on depth. */
#define DEPTH_MAX 4096u

struct folder { uint64_t ino; unsigned depth; char *path; };

struct walk {
	struct object_path *paths;
	size_t count, missing;
	struct folder *folders;
	size_t folder_count, folder_capacity;
	struct folder current;
	int error;
};

static struct object_path *find(struct walk *w, uint64_t ino)
{
	size_t low = 0, high = w->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (w->paths[middle].ino < ino)
			low = middle + 1;
		else
			high = middle;
	}
	return low < w->count && w->paths[low].ino == ino ? &w->paths[low] : NULL;
}

static char *join(const char *folder, const char *name, size_t size)
{
	size_t used = strlen(folder);
	char *path = malloc(used + size + 2);

	if (!path)
		return NULL;
	memcpy(path, folder, used);
	path[used] = '/';
	memcpy(path + used + 1, name, size);
	path[used + 1 + size] = '\0';
	return path;
}

static int add_folder(struct walk *w, uint64_t ino, unsigned depth, char *path)
{
	void *grown = grow(w->folders, &w->folder_capacity, w->folder_count, sizeof(*w->folders));
	if (!grown) {
		free(path);
		return -ENOMEM;
	}
	w->folders = grown;
	w->folders[w->folder_count++] = (struct folder){ ino, depth, path };
	return 0;
}

static int walk_entry(void *arg, const struct state_entry *e)
{
	struct walk *w = arg;
	struct object_path *wanted = find(w, e->ino);
	bool folder = (e->mode & 0170000) == 0040000 && w->current.depth < DEPTH_MAX;
	char *path = folder || (wanted && !wanted->path) ? join(w->current.path, e->name, e->name_size) : NULL;

	if (wanted && !wanted->path && path) {
		wanted->path = strdup(path);
		w->missing -= wanted->path != NULL;
	}
	if (folder && path) {
		w->error = add_folder(w, e->ino, w->current.depth + 1, path);
		path = NULL;
	} else if (folder) {
		w->error = -ENOMEM;
	}
	free(path);
	return w->error < 0 || w->missing == 0;
}

int state_find_paths(struct state *state, struct object_path *paths, size_t count)
{
	struct walk w = { .paths = paths, .count = count, .missing = count };
	struct object_path *root = find(&w, ROOT_INO);
	char *start = strdup("");

	if (root)
		root->path = strdup("/");
	w.missing -= root && root->path;
	if (!start)
		return -ENOMEM;
	w.error = add_folder(&w, ROOT_INO, 0, start);
	while (w.error == 0 && w.folder_count > 0 && w.missing > 0) {
		w.current = w.folders[--w.folder_count];
		(void)state_read_directory(state, w.current.ino, 0, walk_entry, &w);   /* what can't be read is another finding */
		free(w.current.path);
	}
	while (w.folder_count > 0)
		free(w.folders[--w.folder_count].path);
	free(w.folders);
	return w.error;
}

/* ---- reporting ---------------------------------------------------------------------------------------------------- */

static int compare_paths(const void *a, const void *b)
{
	uint64_t x = ((const struct object_path *)a)->ino, y = ((const struct object_path *)b)->ino;

	return (x > y) - (x < y);
}

static size_t collect(const struct findings *f, struct object_path *paths)
{
	size_t count = 0, kept = 0;

	for (size_t i = 0; i < f->count; i++)
		if (f->items[i].ino)
			paths[count++] = (struct object_path){ .ino = f->items[i].ino };
	qsort(paths, count, sizeof(*paths), compare_paths);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || paths[i].ino != paths[i - 1].ino)
			paths[kept++] = paths[i];
	return kept;
}

int findings_report(struct findings *f, struct state *state, void (*report)(void *arg, const struct finding *finding), void *arg)
{
	struct object_path *paths = calloc(f->count + 1, sizeof(*paths));

	if (!paths)
		return -ENOMEM;
	size_t count = collect(f, paths);
	int r = count > 0 ? state_find_paths(state, paths, count) : 0;
	for (size_t i = 0; r == 0 && i < f->count; i++) {
		const struct kept_finding *k = &f->items[i];
		struct object_path *p = k->ino ? bsearch(&(struct object_path){ .ino = k->ino }, paths, count, sizeof(*paths), compare_paths) : NULL;
		char name[NAME_TEXT_SIZE + 1];
		struct record record;
		bool named = k->ino && state_get(state, k->ino, &record) == 0;

		if (named)
			name_to_text(&record.name, name);
		report(arg, &(struct finding){ .kind = k->kind, .ino = k->ino, .name = named ? name : NULL, .path = p ? p->path : NULL, .file = k->file, .text = k->text });
	}
	for (size_t i = 0; i < count; i++)
		free(paths[i].path);
	free(paths);
	return r;
}
