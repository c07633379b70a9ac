# SPDX-License-Identifier: GPL-2.0
#
# awk -f layouts.awk PREPROCESSED BINDINGS: the assertions that bindgen made of how libclang lays structures
# out, as assertions of C. PREPROCESSED is what the bindings are made of: it says what C calls them.
#
# A structure without a name is reached through the one that it is a part of. bindgen does not assert
# where a member without a name begins: that is after what comes before it, with its alignment, as rustc has it.
# Left out are bit fields, of which bindgen asserts nothing but what is around them, and structures without
# a name that are only pointed at.

BEGIN {
	RS = "}"
	# What bindgen appends an underscore to.
	split("Self abstract alignof as async await become bool box crate dyn f32 f64 final fn gen i128 i16 " \
		"i32 i64 i8 impl in isize let loop macro match mod move mut offsetof override priv proc pub " \
		"pure ref self str super trait true try type typeof u128 u16 u32 u64 u8 unsafe unsized use " \
		"usize virtual where yield false", words, " ")
	for (i in words)
		keyword[words[i] "_"] = words[i]
}

# What there is with a tag, and what a declaration ends with that ends after a brace.
FILENAME == ARGV[1] {
	gsub(/[^A-Za-z0-9_ \t\n]/, " & ")
	count = split($0, words, /[ \t\n]+/)
	for (i = 1; i < count; i++)
		if (words[i] == "struct" || words[i] == "union")
			tag[words[i] " " words[i + 1]] = 1
	for (i = 1; i <= count && words[i] !~ /^[;{]$/; i++)
		defined[words[i]] = 1
	next
}

{ gsub(/[ \t\n]+/, " ") }

# A structure, and which of its fields have types that it is the parent of.
match($0, /pub (struct|union) [A-Za-z0-9_]+ \{/) {
	split(substr($0, RSTART, RLENGTH), word, " ")
	name = word[3]
	if (word[2] == "union")
		overlaid[name] = 1
	count = split(substr($0, RSTART + RLENGTH), fields, "pub ")
	for (i = 2; i <= count; i++) {
		at = index(fields[i], ":")
		field = substr(fields[i], 1, at - 1)
		type = substr(fields[i], at + 1)
		gsub(/[ ,]/, "", field)
		gsub(/ /, "", type)
		sub(/,$/, "", type)
		# A union, as well.
		if (sub(/^__BindgenUnionField</, "", type)) {
			sub(/>$/, "", type)
			overlaid[name] = 1
		}
		fields_of[name, i - 1] = field
		types_of[name, i - 1] = type
		elements = ""
		while (match(type, /^(\[|__IncompleteArrayField<)/)) {
			type = substr(type, RLENGTH + 1)
			sub(/(;[0-9]+usize\]|>)$/, "", type)
			elements = elements "[0]"
		}
		if (type ~ /^[A-Za-z0-9_]+$/ && !(type in parent)) {
			parent[type] = name
			place[type] = i - 1
			element[type] = elements
		}
	}
	next
}

/"(Size|Alignment) of |"Offset of field: / {
	count = split($0, lines, ";")
	for (i = 1; i <= count; i++) {
		if (!match(lines[i], /"[^"]*"/))
			continue
		what = substr(lines[i], RSTART + 1, RLENGTH - 2)
		value = lines[i]
		if (!sub(/^.* - /, "", value))
			continue
		sub(/usize.*/, "", value)
		if (sub(/^Size of /, "", what)) {
			size[what] = value
			order[++types] = what
		} else if (sub(/^Alignment of /, "", what)) {
			alignment[what] = value
		} else if (sub(/^Offset of field: /, "", what)) {
			split(what, word, "::")
			offset[word[1], word[2]] = value
			owner[++offsets] = word[1]
			member[offsets] = word[2]
		}
	}
}

# What C calls the field.
function named(field) {
	return field in keyword ? keyword[field] : field
}

# The number of bytes, or the alignment, in the type of a field that bindgen has made.
function bytes(type) {
	sub(/^[^;]*;/, "", type)
	return type + 0
}

# The end of a field, from the start of what C has a name for; or "" if that is not known.
function end(type, i,    field, kind, before) {
	field = fields_of[type, i]
	kind = types_of[type, i]
	if (field !~ /^(__bindgen_|_bitfield_|_bindgen_)/)
		return sprintf("__builtin_offsetof(%s, %s%s) + sizeof(((%s *)0)->%s%s)", root[type], path[type],
			named(field), root[type], path[type], named(field))
	if (field ~ /^__bindgen_anon_/)
		return kind in size && (before = begin(type, i)) != "" ? before " + " size[kind] : ""
	before = i == 1 ? start[type] : end(type, i - 1)
	if (before == "")
		return ""
	if (field ~ /^_bitfield_align_/ && match(kind, /[0-9]+/))
		return aligned(before, substr(kind, RSTART, RLENGTH) / 8)
	if (kind ~ /\[u8;[0-9]+usize\]/)
		return before " + " bytes(kind)
	return ""
}

function aligned(value, to) {
	return to > 1 ? sprintf("((%s + %dul) & ~%dul)", value, to - 1, to - 1) : value
}

# The start of a field without a name, in the same way.
function begin(type, i,    before) {
	if (i == 1 || type in overlaid)
		return start[type]
	before = end(type, i - 1)
	return before == "" ? "" : aligned(before, alignment[types_of[type, i]])
}

# Sets what C calls a type, or the one that it is in the end a part of; where it is in there; and how far
# from the start. Returns whether it can be reached.
function find(type,    above, i, field) {
	if (type in found)
		return found[type]
	found[type] = 0
	if (("struct " type) in tag)
		root[type] = "struct " type
	else if (("union " type) in tag)
		root[type] = "union " type
	else if (type in defined)
		root[type] = type
	if (type in root) {
		path[type] = ""
		start[type] = 0
		return found[type] = 1
	}
	if (!(type in parent) || !find(parent[type]))
		return 0
	above = parent[type]
	i = place[type]
	field = fields_of[above, i]
	root[type] = root[above]
	path[type] = path[above]
	inside[type] = 1
	if (field ~ /^__bindgen_anon_/) {
		start[type] = begin(above, i)
		unnamed[type] = 1
	} else if ((above, field) in offset) {
		start[type] = start[above] " + " offset[above, field]
		path[type] = path[type] named(field) element[type] "."
	} else {
		return 0
	}
	return found[type] = start[type] != ""
}

function check(expression, value, what) {
	printf "_Static_assert(%s == %s, \"%s\");\n", expression, value, what
	checked++
}

END {
	for (i = 1; i <= types; i++) {
		type = order[i]
		if (!find(type))
			continue
		if (!(type in inside)) {
			check("sizeof(" root[type] ")", size[type], "size of " type)
			check("_Alignof(" root[type] ")", alignment[type], "alignment of " type)
		} else if (!(type in unnamed)) {
			where = path[type]
			sub(/\.$/, "", where)
			check("sizeof(((" root[type] " *)0)->" where ")", size[type], "size of " type)
		}
	}
	for (i = 1; i <= offsets; i++) {
		type = owner[i]
		if (member[i] ~ /^(__bindgen_|_bitfield_|_bindgen_)/ || !find(type))
			continue
		check("__builtin_offsetof(" root[type] ", " path[type] named(member[i]) ")", \
			start[type] " + " offset[type, member[i]], type "::" member[i])
	}
	printf "/* %d of %d. */\n", checked, 2 * types + offsets
}
