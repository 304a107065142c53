// The part of LiteRT's interpreter that the guide uses: the real runtime runs in the process at the other end.
package org.tensorflow.lite

import java.io.File
import org.json.parse
import org.json.show

class Tensor internal constructor(private val shape: IntArray) {
    fun shape(): IntArray = shape
}

class Interpreter(private val modelFile: File) : AutoCloseable {
    val signatureKeys: Array<String> get() = arrayOf("rate", "recommend", "similar")

    fun runSignature(inputs: Map<String, Any>, outputs: Map<String, Any>, signatureKey: String) {
        val found = ask(signatureKey, "inputs" to inputs) as Map<*, *>
        for ((name, into) in outputs) fill(into, found[name] as List<*>)
    }

    fun getOutputTensorFromSignature(outputName: String, signatureKey: String): Tensor {
        val shape = ask(signatureKey, "output" to outputName) as List<*>
        return Tensor(IntArray(shape.size) { (shape[it] as Long).toInt() })
    }

    override fun close() = Unit

    private fun ask(signature: String, more: Pair<String, Any>): Any? {
        println(show(mapOf("file" to modelFile.path, "signature" to signature, more)))
        return parse(readln())
    }

    /** As the library does: an array of another size is an error. */
    private fun fill(into: Any, values: List<*>) {
        check(java.lang.reflect.Array.getLength(into) == values.size) { "an output of another size" }
        for ((place, value) in values.withIndex()) {
            when (into) {
                is IntArray -> into[place] = (value as Long).toInt()
                is FloatArray -> into[place] = (value as Number).toFloat()
                is Array<*> -> if (value is String) java.lang.reflect.Array.set(into, place, value) else fill(into[place]!!, value as List<*>)
                else -> error("an output of another type")
            }
        }
    }
}
