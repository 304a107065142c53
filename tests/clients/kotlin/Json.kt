// The part of Android's org.json that the guide uses, and the JSON of the harness.
package org.json

class JSONException(message: String) : Exception(message)

class JSONObject internal constructor(private val fields: Map<*, *>) {
    constructor(text: String) : this(parse(text) as? Map<*, *> ?: throw JSONException("no object"))

    private inline fun <reified T> typed(name: String) = fields[name] as? T ?: throw JSONException("no value for $name")

    fun getInt(name: String): Int = typed<Number>(name).toInt()

    fun getLong(name: String): Long = typed<Number>(name).toLong()

    fun getString(name: String): String = typed<String>(name)

    fun getJSONObject(name: String): JSONObject = JSONObject(typed<Map<*, *>>(name))

    fun getJSONArray(name: String): JSONArray = JSONArray(typed<List<*>>(name))

    fun optDouble(name: String, fallback: Double): Double = (fields[name] as? Number)?.toDouble() ?: fallback

    fun optJSONArray(name: String): JSONArray? = (fields[name] as? List<*>)?.let(::JSONArray)
}

class JSONArray internal constructor(private val elements: List<*>) {
    fun length(): Int = elements.size

    fun getString(place: Int): String = elements[place] as? String ?: throw JSONException("no text at $place")

    fun optInt(place: Int): Int = (elements.getOrNull(place) as? Number)?.toInt() ?: 0
}

/** A JSON text as maps, lists, texts, longs, doubles, booleans and null. */
fun parse(text: String): Any? = Parser(text).whole()

private class Parser(private val text: String) {
    private var at = 0

    fun whole(): Any? = value().also { if (peek() != null) fail() }

    private fun fail(): Nothing = throw JSONException("malformed at $at")

    private fun peek(): Char? {
        while (at < text.length && text[at].isWhitespace()) at++
        return text.getOrNull(at)
    }

    private fun take(expected: Char) {
        if (peek() != expected) fail()
        at++
    }

    private fun value(): Any? = when (peek()) {
        '{' -> between('{', '}') { string().also { take(':') } to value() }.toMap()
        '[' -> between('[', ']') { value() }
        '"' -> string()
        else -> word()
    }

    private fun <T> between(open: Char, close: Char, element: () -> T): List<T> {
        take(open)
        val found = mutableListOf<T>()
        if (peek() == close) at++ else do found += element() while (more(close))
        return found
    }

    private fun more(close: Char): Boolean {
        val next = peek()
        if (next != ',' && next != close) fail()
        at++
        return next == ','
    }

    private fun string(): String {
        take('"')
        val found = StringBuilder()
        while (text.getOrElse(at) { fail() } != '"') {
            if (text[at] == '\\') {
                at++
                when (val escaped = text[at]) {
                    'u' -> found.append(text.substring(at + 1, at + 5).toInt(16).toChar()).also { at += 4 }
                    'n' -> found.append('\n')
                    't' -> found.append('\t')
                    'r' -> found.append('\r')
                    else -> found.append(escaped)
                }
            } else {
                found.append(text[at])
            }
            at++
        }
        at++
        return found.toString()
    }

    private fun word(): Any? {
        val start = at
        while (at < text.length && text[at] !in ",]} \n\r\t") at++
        return when (val word = text.substring(start, at)) {
            "null" -> null
            "true" -> true
            "false" -> false
            else -> word.toLongOrNull() ?: word.toDoubleOrNull() ?: fail()
        }
    }
}

/** A value as JSON. */
fun show(value: Any?): String = when (value) {
    null, is Boolean, is Long, is Int -> "$value"
    is Number -> "$value"
    is Map<*, *> -> value.entries.joinToString(",", "{", "}") { "${show("${it.key}")}:${show(it.value)}" }
    is Iterable<*> -> value.joinToString(",", "[", "]") { show(it) }
    is IntArray -> show(value.toList())
    is FloatArray -> show(value.toList())
    is Array<*> -> show(value.toList())
    else -> "$value".map { if (it in ' '..'~' && it != '"' && it != '\\') "$it" else "\\u%04x".format(it.code) }
        .joinToString("", "\"", "\"")
}
