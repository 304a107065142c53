// The part of the database's SDK that the guide uses, with a tree in memory. `getValue` fills a class as the SDK does:
// with the constructor without arguments, and then field by field, by name.
package com.google.firebase.database

import com.google.android.gms.tasks.Task
import java.lang.reflect.ParameterizedType
import java.lang.reflect.Type

annotation class IgnoreExtraProperties

class DatabaseError(val message: String)

class DatabaseException(message: String) : RuntimeException(message)

interface ValueEventListener {
    fun onDataChange(snapshot: DataSnapshot)

    fun onCancelled(error: DatabaseError)
}

class DataSnapshot(val key: String?, private val value: Any?) {
    val children: Iterable<DataSnapshot>
        get() = (value as? Map<*, *>).orEmpty().map { DataSnapshot(it.key as String, it.value) }

    fun <T> getValue(valueType: Class<T>): T? {
        @Suppress("UNCHECKED_CAST")
        return if (value == null) null else filled(value, valueType) as T
    }
}

open class Query internal constructor(
    protected val path: List<String>,
    private val child: String?,
    private val equal: Any?,
    private val last: Int = Int.MAX_VALUE,
) {
    fun orderByChild(path: String): Query = Query(this.path, path, equal, last)

    fun equalTo(value: String?): Query = Query(path, child, value, last)

    fun limitToLast(limit: Int): Query = Query(path, child, equal, limit)

    fun get(): Task<DataSnapshot> = Task(Result.success(snapshot()))

    fun addValueEventListener(listener: ValueEventListener): ValueEventListener {
        FirebaseDatabase.listeners += listener
        listener.onDataChange(snapshot())
        return listener
    }

    fun removeEventListener(listener: ValueEventListener) {
        FirebaseDatabase.listeners -= listener
    }

    private fun snapshot(): DataSnapshot {
        val value = path.fold(FirebaseDatabase.tree as Any?) { node, key -> (node as? Map<*, *>)?.get(key) }
        val kept = if (child == null) value else (value as? Map<*, *>)?.filterValues { (it as Map<*, *>)[child] == equal }
        val newest = (kept as? Map<*, *>)?.takeIf { it.size > last } ?: return DataSnapshot(path.lastOrNull(), kept)
        return DataSnapshot(path.lastOrNull(), newest.entries.sortedBy { it.key as String }.takeLast(last).associate { it.toPair() })
    }
}

class DatabaseReference internal constructor(path: List<String>) : Query(path, null, null) {
    val key: String? get() = path.lastOrNull()

    fun child(pathString: String): DatabaseReference = DatabaseReference(path + pathString.split("/"))

    fun push(): DatabaseReference = child("-N%04d".format(FirebaseDatabase.pushed++))

    fun setValue(value: Any?): Task<Void?> {
        if (path.joinToString("/") in FirebaseDatabase.denied) return Task(Result.failure(DatabaseException("Permission denied")))
        FirebaseDatabase.set(path, (plain(value) as? Map<*, *>)?.mapValues { filledIn(it.value, null) } ?: value)
        return Task(Result.success(null))
    }

    fun updateChildren(update: Map<String, Any?>): Task<Void?> {
        for ((place, value) in update) FirebaseDatabase.set(path + place.split("/"), plain(value))
        return Task(Result.success(null))
    }
}

object ServerValue {
    val TIMESTAMP: Map<String, String> = mapOf(".sv" to "timestamp")

    fun increment(delta: Long): Any = mapOf(".sv" to mapOf("increment" to delta))
}

class FirebaseDatabase private constructor() {
    val reference: DatabaseReference get() = DatabaseReference(emptyList())

    fun getReference(path: String): DatabaseReference = reference.child(path)

    companion object {
        var tree: MutableMap<String, Any?> = mutableMapOf()
        var denied: List<String> = emptyList()
        val listeners = mutableListOf<ValueEventListener>()
        internal var pushed = 0
        internal var now = 1_700_000_000_000L
        private val only = FirebaseDatabase()

        @JvmStatic
        fun getInstance(): FirebaseDatabase = only

        @Suppress("UNCHECKED_CAST")
        internal fun set(path: List<String>, value: Any?) {
            val parent = path.dropLast(1).fold(tree) { node, key ->
                val child = (node[key] as? Map<String, Any?>).orEmpty().toMutableMap()
                child.also { node[key] = it }
            }
            val stored = filledIn(value, parent[path.last()])
            if (stored == null) parent.remove(path.last()) else parent[path.last()] = stored
        }
    }
}

private fun filledIn(value: Any?, before: Any?): Any? {
    val asked = (value as? Map<*, *>)?.get(".sv") ?: return value
    return if (asked == "timestamp") FirebaseDatabase.now++ else ((before as? Number)?.toLong() ?: 0L) + (asked as Map<*, *>)["increment"] as Long
}

private fun plain(value: Any?): Any? = when (value) {
    null, is String, is Number, is Boolean, is Map<*, *> -> value
    else -> value.javaClass.declaredFields.associate { it.name to it.apply { isAccessible = true }.get(value) }
        .filterValues { it != null }
}

private fun filled(value: Any, type: Type): Any = when {
    type is ParameterizedType && type.rawType == List::class.java ->
        (value as List<*>).map { filled(it!!, bound(type.actualTypeArguments[0])) }
    type is ParameterizedType && type.rawType == Map::class.java ->
        (value as Map<*, *>).mapValues { filled(it.value!!, bound(type.actualTypeArguments[1])) }
    type == String::class.java -> value as String
    type == Double::class.java || type == Double::class.javaObjectType -> (value as Number).toDouble()
    type == Long::class.java || type == Long::class.javaObjectType -> (value as Number).toLong()
    else -> (type as Class<*>).getDeclaredConstructor().newInstance().also { made ->
        for ((name, child) in value as Map<*, *>) {
            val field = type.declaredFields.find { it.name == name } ?: continue
            field.isAccessible = true
            field.set(made, filled(child!!, field.genericType))
        }
    }
}

private fun bound(type: Type): Type = if (type is java.lang.reflect.WildcardType) type.upperBounds[0] else type
